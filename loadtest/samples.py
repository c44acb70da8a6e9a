"""Loads a sample exam (paper with figures, batch, roster) in the form the scheduling API takes."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).resolve().parent.parent / "ops" / "samples"
FIGURE_SUFFIXES = (".svg", ".png")


@dataclass(frozen=True)
class Sample:
    """Bodies ready to PUT: `paper` with its media; `batch` still without `starts_ms` and `rules`; `roster`."""

    paper: dict[str, Any]
    batch: dict[str, Any]
    roster: list[dict[str, Any]]


def load(name: str, root: Path = SAMPLES) -> Sample:
    """The sample in folder `name` under `root`; every figure beside paper.json travels as its media.

    Raises FileNotFoundError naming the samples there are.
    """
    folder = root / name
    if not (folder / "paper.json").is_file():
        known = ", ".join(sorted(path.parent.name for path in root.glob("*/paper.json"))) or "none"
        raise FileNotFoundError(f"no sample {name!r} in {root}; there are: {known}")
    paper = _read(folder / "paper.json")
    media = _figures(folder)
    if media:
        paper["media"] = media
    return Sample(paper=paper, batch=_read(folder / "batch.json"), roster=_read(folder / "roster.json"))


def _figures(folder: Path) -> dict[str, str]:
    figures = sorted(path for path in folder.iterdir() if path.suffix in FIGURE_SUFFIXES)
    return {path.name: base64.b64encode(path.read_bytes()).decode("ascii") for path in figures}


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
