"""The floor: what the same server does when there is nothing to do. Run as a process: `python -m bench.floor PORT`.

`POST` anything: the body is read and a small JSON object answered, as an acknowledgement is. A WebSocket: every text
comes back. Settings are the worker's own; the protocol is uvicorn's, without what the engine puts in its place.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn

from engine import listening
from engine.settings import Settings

ANSWER = b'{"saved":123456,"generation":1,"position":123456,"committed":123000}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]


async def floor(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """One plain ASGI callable for both."""
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": ANSWER})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})


def serve(port: int) -> None:
    """Until a signal."""
    settings = Settings(port=port)
    listening.raise_file_limit()
    config = uvicorn.Config(
        floor,
        loop="uvloop",
        http="httptools",
        ws="auto",
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        backlog=settings.backlog,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.drain_s,
    )
    uvicorn.Server(config).run(sockets=[listening.listen(settings.host, settings.port, settings.backlog)])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
