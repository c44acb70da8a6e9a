"""What workers have noted, on its way to the master: over Locust's own messages, in bounded pieces.

Promise: a worker has never more than one piece under way, so that a ledger of 100 MB neither fills the master's memory
nor delays its heartbeats; a file is there under its name only when it is whole, by its SHA-256.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from gevent.event import Event

PIECE, TAKEN, PLAN = "swarm_piece", "swarm_taken", "swarm_plan"
PIECE_BYTES = 256 * 1024
TAKEN_S = 60.0  # a master that takes nothing for so long is gone
SUMMED = ("entered", "writing", "saves", "acknowledged", "errors")


class Gathering:
    """The master's side: two files of each of so many workers, into `folder`."""

    def __init__(self, folder: Path, workers: int, plan_digest: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._workers = workers
        self._digest = plan_digest
        self._hashes: dict[str, Any] = {}
        self._whole: set[str] = set()
        self._standings: dict[str, dict[str, Any]] = {}
        self.fault = ""

    @property
    def is_complete(self) -> bool:
        return len(self._whole) >= 2 * self._workers or bool(self.fault)

    @property
    def missing(self) -> int:
        """Files that have not come."""
        return 2 * self._workers - len(self._whole)

    def check_plan(self, environment: Any, msg: Any, **_: Any) -> None:
        """A worker with another plan plays another exam."""
        if msg.data != self._digest:
            self.fault = f"worker {msg.node_id} has another plan: SHA-256 {msg.data}, here {self._digest}"

    def take(self, environment: Any, msg: Any, **_: Any) -> None:
        """One piece; its worker hears that it was taken."""
        name, piece, digest = msg.data["name"], msg.data["piece"], msg.data["digest"]
        if Path(name).name != name or not name.startswith("swarm-"):
            self.fault = f"worker {msg.node_id} delivers {name!r}"
            return
        part = self._folder / f"{name}.part"
        with open(part, "ab" if name in self._hashes else "wb") as held:
            held.write(piece)
        self._hashes.setdefault(name, hashlib.sha256()).update(piece)
        if digest:
            if self._hashes[name].hexdigest() != digest:
                self.fault = f"{name} of worker {msg.node_id} came damaged"
                return
            part.rename(self._folder / name)
            self._whole.add(name)
        environment.runner.send_message(TAKEN, {"name": name}, msg.node_id)

    def hear(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        """A worker's regular report to its master."""
        if "swarm" in data:
            self._standings[client_id] = data["swarm"]

    def standing(self) -> dict[str, Any]:
        """All workers together; of their CPU shares the largest."""
        found = list(self._standings.values())
        if not found:
            return {}
        return {name: sum(each[name] for each in found) for name in SUMMED} | {
            "cpu": max(each["cpu"] for each in found)
        }


_taken = Event()


def taken(environment: Any, msg: Any, **_: Any) -> None:
    """The worker hears that its piece was taken."""
    _taken.set()


def deliver(runner: Any, index: int, files: tuple[Path, ...]) -> None:
    """Send `files` piece by piece. Raises TimeoutError where the master takes nothing any more."""
    for file in files:
        digest = hashlib.sha256()
        with open(file, "rb") as held:
            piece = held.read(PIECE_BYTES)
            while True:
                digest.update(piece)
                following = held.read(PIECE_BYTES)
                _taken.clear()
                told = {"name": file.name, "piece": piece, "digest": "" if following else digest.hexdigest()}
                runner.send_message(PIECE, told)
                if not _taken.wait(TAKEN_S):
                    raise TimeoutError(f"the master has not taken a piece of {file.name} for {TAKEN_S:.0f} s")
                if not following:
                    break
                piece = following
