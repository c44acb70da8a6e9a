"""Where one Redis server is and how its door opens: URLs as redis-py reads them, made into connections by asyncio.

`redis://`, `rediss://` (TLS) and `unix://`, with user, password, database and the `ssl_*` options of a query string.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from redis.asyncio.connection import SSLConnection, parse_url

_PORT = 6379
_VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
# A machine that went away without a word is noticed before the next command has to find out.
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


class Address(Struct, frozen=True, kw_only=True):
    """One server: a socket's `path`, or `host` and `port`; and who we are there."""

    path: str = ""
    host: str = "localhost"
    port: int = _PORT
    user: str = ""
    password: str = ""
    database: int = 0
    tls: tuple[tuple[str, Any], ...] | None = None

    @classmethod
    def parse(cls, url: str) -> Address:
        """From a URL. Raises ValueError naming what is wrong with it."""
        found: dict[str, Any] = dict(parse_url(url))
        is_tls = found.get("connection_class") is SSLConnection
        return cls(
            path=found.get("path") or "",
            host=found.get("host") or "localhost",
            port=int(found.get("port") or _PORT),
            user=found.get("username") or "",
            password=found.get("password") or "",
            database=int(found.get("db") or 0),
            tls=tuple((name, value) for name, value in found.items() if name.startswith("ssl_")) if is_tls else None,
        )

    def beside(self, host: str, port: int) -> Address:
        """Another node of the same cluster: the same user, password and TLS."""
        return replace(self, path="", host=host, port=port, database=0)

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"

    def greeting(self) -> list[tuple[str | int, ...]]:
        """The commands with which a connection makes itself known."""
        said: list[tuple[str | int, ...]] = []
        if self.password:
            said.append(("AUTH", self.user, self.password) if self.user else ("AUTH", self.password))
        if self.database:
            said.append(("SELECT", self.database))
        return said

    async def connect(self, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        """Make one connection. Raises OSError."""
        loop = asyncio.get_running_loop()
        if self.path:
            await loop.create_unix_connection(protocol, self.path)
            return
        context = None if self.tls is None else _tls_context(dict(self.tls))
        transport, _ = await loop.create_connection(protocol, self.host, self.port, ssl=context)
        told = transport.get_extra_info("socket")
        told.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):  # not every system has all of them
                told.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _tls_context(options: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"), capath=options.get("ssl_ca_path"))
    if options.get("ssl_certfile"):
        context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"), options.get("ssl_password"))
    verify = _VERIFY[str(options.get("ssl_cert_reqs") or "required")]
    context.check_hostname = verify == ssl.CERT_REQUIRED and _is_true(options.get("ssl_check_hostname", True))
    context.verify_mode = verify
    return context


def _is_true(option: Any) -> bool:
    return str(option).lower() not in ("false", "no", "0")
