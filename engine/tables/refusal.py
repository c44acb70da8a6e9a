"""How a table that cannot be read is refused."""

from __future__ import annotations

from engine.rules.errors import Refused
from engine.rules.limits import ROSTER_UNPACKED_BYTES_MAX

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLS = "application/vnd.ms-excel"
CSV = "text/csv"
ACCEPTED = ("application/json", "application/x-ndjson", CSV, XLSX, XLS)


def not_a_roster(found: str) -> Refused:
    """Of no format that is taken, or broken in its own."""
    detail = f"expected JSON, NDJSON, CSV, XLSX or XLS, found {found}"
    return Refused("roster.file_format", detail, accepted=list(ACCEPTED))


def too_large(what: str) -> Refused:
    return Refused("request.too_large", f"the table {what}")


def unpacks_to(total_bytes: int) -> Refused:
    return too_large(f"unpacks to {total_bytes} bytes, expected at most {ROSTER_UNPACKED_BYTES_MAX}")
