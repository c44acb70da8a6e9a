"""Scorers: grader, results, the responses behind them. Only the grader opens an answer key."""
