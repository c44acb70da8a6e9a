"""The only importers of asyncpg and redis, and the one place that reads the clock."""
