"""Seals, envelopes, keys, signatures, tokens: pure functions, bytes in, bytes out."""
