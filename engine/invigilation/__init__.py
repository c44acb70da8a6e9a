"""Proctors: who sits where and how it goes, takeovers, what happened in the room; and what candidates' pages report."""
