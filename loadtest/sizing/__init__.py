"""Sizing: a tier's load on an engine, judged phase by phase, with a verdict that a sceptic can repeat."""
