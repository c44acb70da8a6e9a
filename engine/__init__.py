"""Liankao: a high-throughput online exam engine."""

VERSION = "0.1.0"
