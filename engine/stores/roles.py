"""PostgreSQL roles, one per kind of process: what none of them should be able to do, whoever takes it over.

The rights themselves are given by the migrations. A process that may do more than it needs, because it connects as the
tables' owner, works all the same: that is said, and stops nothing.
"""

from __future__ import annotations

from engine.stores.postgres import Connection
from engine.stores.sql import Queries

_queries = Queries(__file__)
# The rights whose absence keeps a promise: process -> (table, right).
_NOT_FOR: dict[str, tuple[tuple[str, str], ...]] = {
    "engine": (("answer_key", "SELECT"), ("result", "INSERT"), ("response", "INSERT")),
    "recorder": (("paper", "SELECT"), ("answer_key", "SELECT"), ("result", "INSERT")),
    "courier": (("sitting", "SELECT"), ("response", "SELECT"), ("paper", "SELECT"), ("answer_key", "SELECT")),
    "grader": (("paper", "SELECT"), ("response", "INSERT"), ("response_history", "INSERT")),
}


def role_name(process: str) -> str:
    """The role that the migrations make for `process`: engine (a worker), recorder, grader, courier."""
    return f"liankao_{process}"


async def excess_of(connection: Connection, process: str) -> str:
    """What `process` may do and does not need, in words; empty when its role is as narrow as it should be."""
    asked = _NOT_FOR[process]
    rows = await connection.fetch(_queries.held_rights, [table for table, _ in asked], [right for _, right in asked])
    if not rows:
        return ""
    rights = ", ".join(f"{row['right_name']} on {row['table_name']}" for row in rows)
    return f"its database role has rights it does not need ({rights}): let it connect as {role_name(process)}"
