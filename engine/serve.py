"""One worker's life: listen, serve, drain.

SIGTERM drains. In this order, within `drain_s`:

1. Readiness turns red; everything in the accept queue is taken and the listener closed: the kernel gives new
   connections to the other workers (`listening.py`).
2. From here on every answer says `connection: close`; what is under way is answered.
3. Idle connections are closed one after another, evenly spread, so that a room does not come back as one. One that has
   unread bytes is left to be answered: an idle client never sees its request die with the connection, but for a request
   that is on the wire at that moment, and sending it again is safe.
4. Meanwhile `Worker.drains` move the long-lived channels over.

What is not done by then is cut off: clients send again what was not acknowledged.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn

from engine import listening, log, notify, pauses, precedence
from engine.app import Worker
from engine.protocol import Protocol
from engine.settings import Settings

_READY_POLL_S = 0.1
_SPREAD = 0.6  # of the drain: the rest is for what the last ones still ask
_STEPS_MAX = 100  # so many times during the spread some are closed
_LOOK_S = 0.02  # how often a draining server looks who is left
_CLOSE_HEADER = (b"connection", b"close")


def serve(settings: Settings, when_ready: bool = False) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is under way and return.

    With `when_ready` it takes no connection before everything it needs is there: the successor of a running worker.
    """
    log.configure("worker", settings.log_level)
    listening.raise_file_limit()
    warnings = listening.warnings(settings.backlog, settings.keep_alive_s)
    for limit, text in warnings.items():
        log.logger().warning("worker.limit_is_low", limit=limit, detail=text)
    worker = Worker(settings, warnings)
    config = configured(worker, settings, http=Protocol, ws="none", lifespan="on")
    Server(config, worker, settings, when_ready).run()


def configured(app: Any, settings: Settings, **chosen: Any) -> uvicorn.Config:
    """What uvicorn is told for a worker, and for what a worker is compared with."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        backlog=settings.backlog,
        timeout_keep_alive=settings.keep_alive_s,
        **chosen,
    )


class Server(uvicorn.Server):
    """uvicorn's server with a start that may wait and a stop that drains."""

    def __init__(self, config: uvicorn.Config, worker: Worker, settings: Settings, when_ready: bool) -> None:
        super().__init__(config)
        self._worker = worker
        self._settings = settings
        self._when_ready = when_ready
        self._listener: socket.socket | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so to who started us."""
        while self._when_ready and (await self._worker.readiness.look()).not_ready:
            if self.should_exit:
                return
            await asyncio.sleep(_READY_POLL_S)
        settings = self._settings
        self._listener = listening.listen(settings.host, settings.port, settings.backlog)
        await super().startup([self._listener])
        pauses.settle()
        precedence.take_short_turns()
        notify.tell(notify.READY)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain; see above."""
        notify.tell(notify.STOPPING)
        until_s = self._settings.drain_s
        self._worker.readiness.drain()
        # uvicorn puts these into every answer, and closes a connection whose answer says `close`.
        self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE_HEADER]
        await self._stop_accepting()
        connections = list(self.server_state.connections)
        log.logger().info("worker.draining", connections=len(connections), drain_s=until_s)
        work = [drain(until_s) for drain in self._worker.drains]
        drained = asyncio.gather(self._close_idle(connections, until_s * _SPREAD), *work, return_exceptions=True)
        try:
            async with asyncio.timeout(until_s):
                for outcome in await drained:
                    if isinstance(outcome, BaseException):
                        log.logger().error("worker.drain_failed", exc_info=outcome)
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - uvicorn's own sets
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            left = len(self.server_state.connections)
            log.logger().warning("worker.cut_off", connections=left, requests=len(self.server_state.tasks))
        await self._cut_off()
        await self.lifespan.shutdown()

    async def _stop_accepting(self) -> None:
        assert self._listener is not None
        queued = listening.accept_queued(self._listener)
        for server in self.servers:
            server.close()
        self._listener.close()
        loop = asyncio.get_running_loop()
        for connection in queued:
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = Protocol(self.config, self.server_state, self.lifespan.state)
        return made

    async def _close_idle(self, connections: list[Any], within_s: float) -> None:
        """Evenly spread; those that have not asked anything yet come last."""
        for busy in connections:
            if isinstance(busy, Protocol) and not busy.is_idle:
                busy.shutdown()  # closes after the answer under way
        ordered = sorted(
            (each for each in connections if isinstance(each, Protocol)), key=lambda each: not each.has_asked
        )
        at_once = 1 + len(ordered) // _STEPS_MAX
        for at, connection in enumerate(ordered):
            if at and at % at_once == 0:
                await asyncio.sleep(within_s * at_once / len(ordered))
            if connection.is_idle and not _has_unread(connection):
                connection.transport.close()

    async def _cut_off(self) -> None:
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for task in self.server_state.tasks:
            task.cancel()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)


def _has_unread(connection: Any) -> bool:
    wire = connection.transport.get_extra_info("socket")
    return wire is not None and listening.has_unread(wire)
