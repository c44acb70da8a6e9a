"""Simulated candidates and the rehearsal: clients of the public API that share no code with the engine."""
