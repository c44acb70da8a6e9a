"""A desk at which papers are sealed with `./run paper`, away from any engine, and what lies on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine import __main__ as command_line
from engine.sealing import shares
from tests.contract import outsider as out
from tests.contract.outsider import Outsider, accepted, person
from tests.servers import Engine

MEDIA_TYPE = "application/vnd.liankao.sealed"
PHRASES = ("first holder's words", "second holder's words", "third holder's words")


class Desk:
    """The table at which papers are sealed, and what lies on it."""

    def __init__(self, folder: Path, engine: Engine, outsider: Outsider, document: dict[str, Any]) -> None:
        self.folder = folder
        self.outsider = outsider
        self.document = document
        self.file("paper.json", json.dumps(self.document, ensure_ascii=False))
        self.file("phrases", "\n".join(PHRASES))
        self.file("api.key", engine.keys["schedule"])
        self.secrets = engine.data / "secrets"

    def file(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text, "utf-8")
        return self.folder / name

    def run(self, *words: object) -> int:
        return command_line.main([str(word) for word in words])

    def seal(self, batch_id: str, capsys: pytest.CaptureFixture[str]) -> bytes:
        """The package's bytes; its shares lie in a folder of the batch's name."""
        capsys.readouterr()
        assert self.run("secrets", "public", "--dir", self.secrets) == 0
        grader = self.file("grader.json", capsys.readouterr().out)
        made = self.folder / f"{batch_id}.sealed"
        words = ["--batch", batch_id, "--grader-key", grader, "--signing-key", self.folder / "author.key", "-o", made]
        words += ["--shares-to", self.folder / batch_id, "--passphrases", self.folder / "phrases"]
        assert self.run("paper", "seal", self.folder / "paper.json", *words) == 0
        return made.read_bytes()

    def share(self, batch_id: str, index: int) -> Path:
        return self.folder / batch_id / f"{batch_id}.share-{index}-of-3.json"

    def arm(self, batch_id: str, *indexes: int) -> int:
        phrases = self.file("two", "\n".join(PHRASES[index - 1] for index in indexes))
        words: list[object] = ["--url", self.outsider.url, "--key-file", self.folder / "api.key"]
        words += ["--passphrases", phrases, "--witness", "王五", "--witness", "赵六"]
        for index in indexes:
            words += ["--share", self.share(batch_id, index)]
        return self.run("paper", "arm", *words)

    def opened(self, batch_id: str, *indexes: int) -> list[dict[str, Any]]:
        """Shares as the call takes them."""
        found = [
            shares.open_share(self.share(batch_id, index).read_bytes(), PHRASES[index - 1], "") for index in indexes
        ]
        return [{name: getattr(share, name) for name in share.__struct_fields__} for share in found]

    def push(self, package: bytes, paper_id: str) -> Any:
        return self.outsider.call(
            "PUT", f"/v1/papers/{paper_id}", scope="schedule", content=package, headers={"content-type": MEDIA_TYPE}
        )

    def batch(self, paper_id: str, batch_id: str, candidates: int = 1, **members: Any) -> out.Exam:
        """A draft with so many candidates; `members` go into the batch."""
        document = self.outsider.batch_document(paper_id, **members)
        accepted(self.outsider.put_batch(document, batch_id), 201)
        roster = [person() for _ in range(candidates)]
        accepted(self.outsider.put_roster(batch_id, roster))
        return out.Exam(self.outsider, batch_id, document, roster)
