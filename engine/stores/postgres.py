"""The only importer of asyncpg: pools, and which of its errors mean `try later`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from engine.rules.errors import TryLater

T = TypeVar("T")
Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy
Record: TypeAlias = asyncpg.Record
UniqueViolation = asyncpg.UniqueViolationError
ExclusionViolation = asyncpg.ExclusionViolationError

# What a caller may simply repeat: the server is away, restarting, out of connections, or ended our transaction.
UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that broke in the middle of a call, and is used once more
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.CannotConnectNowError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.PostgresSystemError,
)
# What no repetition mends: the server, or the driver before it, cannot take a value.
UNFIT = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError, OverflowError)
CONNECT_TIMEOUT_S = 3
IDLE_IN_TRANSACTION = "60s"
COMMAND_TIMEOUT_S = 60  # a roster of 100,000 rows takes seconds
CROSSED_TRIES = 3


class Crossed(TryLater):
    """Two transactions waited for one another, and PostgreSQL ended ours: nothing of it was done."""


class _Pooled(asyncpg.Connection):  # type: ignore[misc]  # the driver tells no types
    """Goes back into the pool as it is: what a caller sets, locks or begins ends with its transaction."""

    def get_reset_query(self) -> str:
        """Nothing; the driver's own costs PostgreSQL as much as two look-ups, each time a connection is used."""
        return ""


class Postgres:
    """A pool that opens on first use, so that a process starts, and says what it misses, with PostgreSQL away."""

    def __init__(
        self,
        dsn: str,
        connections_max: int,
        application_name: str = "liankao",
        command_timeout_s: float = COMMAND_TIMEOUT_S,
        *,
        plans_afresh: bool = False,
    ) -> None:
        """`plans_afresh`: every query is planned for what the tables hold now, which costs it a fraction of a ms.

        Else a plan that was made for an empty table is used while hundreds of rosters fill it.
        """
        self._dsn = dsn
        self._connections_max = connections_max
        self._application_name = application_name
        self._command_timeout_s = command_timeout_s
        self._planning = {"plan_cache_mode": "force_custom_plan"} if plans_afresh else {}
        self._pool: asyncpg.Pool | None = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One connection, no transaction. Raises TryLater when PostgreSQL cannot be reached or goes away."""
        try:
            if self._pool is None:
                pool = asyncpg.create_pool(
                    self._dsn,
                    connection_class=_Pooled,
                    min_size=0,
                    max_size=self._connections_max,
                    timeout=CONNECT_TIMEOUT_S,
                    command_timeout=self._command_timeout_s,
                    # Whatever the role or the server says: `committed` must mean on disk.
                    server_settings={
                        "synchronous_commit": "on",
                        "application_name": self._application_name,
                        # Of a process that was frozen or whose machine died: its locks must not outlive it for hours.
                        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION,
                        **self._planning,
                    },
                )
                self._pool = pool
                await pool
            async with self._pool.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
                yield connection
        except asyncpg.CheckViolationError as fault:
            if fault.constraint_name:  # one of the schema's own: the row is wrong
                raise
            raise TryLater(
                "a month was made while rows were on their way into it; nothing of them was written"
            ) from fault
        except asyncpg.TransactionRollbackError as fault:
            raise Crossed(
                f"another transaction crossed this one ({type(fault).__name__}); nothing of it was done"
            ) from fault
        except UNAVAILABLE as fault:
            if isinstance(fault, ValueError):  # the driver's own: an argument it cannot encode
                raise
            name = type(fault).__name__
            raise TryLater(
                f"PostgreSQL does not serve ({name}); it may have been done whole or not at all,"
                " sending the same again is safe"
            ) from fault

    @asynccontextmanager
    async def transaction(self, *, is_dry_run: bool = False) -> AsyncIterator[Connection]:
        """One connection in a transaction that commits at the end of the block, all or nothing; a dry run undoes it."""
        async with self.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                yield connection
                if is_dry_run:
                    await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what a commit would have refused
            except BaseException:
                await transaction.rollback()
                raise
            if is_dry_run:
                await transaction.rollback()
            else:
                await transaction.commit()

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()


async def uncrossed(act: Callable[[], Awaitable[T]]) -> T:
    """What `act` returns. It is one transaction, and is begun again when another crossed it.

    A push that seats somebody where somebody else sat waits for the recorder, which writes that other one's entry, and
    the recorder's commit looks whether the seat is free. Raises Crossed when it happens again and again.
    """
    for _ in range(CROSSED_TRIES - 1):
        with suppress(Crossed):
            return await act()
    return await act()


@asynccontextmanager
async def plans_kept(connection: Connection) -> AsyncIterator[None]:
    """Of a transaction that puts many rows in, this part: what looks up each row's reference is planned once for all.

    With `plans_afresh` it would be planned for every row, which takes PostgreSQL three times as long as to look it up.
    """
    await connection.execute("SET LOCAL plan_cache_mode = auto")
    yield
    await connection.execute("SET LOCAL plan_cache_mode TO DEFAULT")


async def connect(dsn: str, **options: Any) -> asyncpg.Connection:
    """A single connection outside any pool, for tools."""
    return await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S, **options)
