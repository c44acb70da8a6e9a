"""The tests: `unit` pure, `integration` on real servers, `acceptance` on real processes, `browser` in Chromium."""
