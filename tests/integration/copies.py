"""Copies of both stores, to be put back later: what a restored backup or an old data folder does, in one process."""

from __future__ import annotations

from typing import Any

from tests.integration.exam import Exam

_TABLES = (
    "feed",
    "recording",
    "response",
    "response_history",
    "sitting_event",
    "result",
    "sitting",
    "seal",
    "batch",
    "package",
    "paper",
)


class RedisCopy:
    """Every key as it was; put back, it is another server process that reads them."""

    def __init__(self, keys: dict[bytes, bytes]) -> None:
        self._keys = keys

    @classmethod
    async def of(cls, exam: Exam) -> RedisCopy:
        redis: Any = exam.redis
        return cls({name: await redis.dump(name) for name in await redis.keys("*")})

    async def put_back(self, exam: Exam, run_id: str = "f" * 40) -> None:
        redis: Any = exam.redis
        await redis.flushall()
        for name, content in self._keys.items():
            await redis.restore(name, 0, content)
            if name.endswith(b":meta"):
                await redis.hset(name, "run_id", run_id)


async def lose_redis(exam: Exam) -> None:
    """The data folder was deleted."""
    redis: Any = exam.redis
    await redis.flushall()


class DatabaseCopy:
    """Every row as it was."""

    def __init__(self, schema: str) -> None:
        self._schema = schema

    @classmethod
    async def of(cls, exam: Exam, schema: str = "backup") -> DatabaseCopy:
        async with exam.owner_database.transaction() as connection:
            await connection.execute(f"CREATE SCHEMA {schema}")
            for table in _TABLES:
                await connection.execute(f"CREATE TABLE {schema}.{table} AS TABLE public.{table}")
        return cls(schema)

    async def put_back(self, exam: Exam) -> None:
        async with exam.owner_database.transaction() as connection:
            await connection.execute(f"TRUNCATE {', '.join(_TABLES)} CASCADE")
            for table in reversed(_TABLES):
                await connection.execute(f"INSERT INTO public.{table} SELECT * FROM {self._schema}.{table}")


async def settle(exam: Exam) -> None:
    """The recorder's process until nothing is left to do."""
    for _ in range(3):
        await exam.hold()
        while await exam.recorder.record():
            pass
    await exam.mender.adopt()
