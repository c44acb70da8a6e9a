"""One engine, one outsider, and exams that several tests look at."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract import season
from tests.contract.outsider import Outsider, unhurried


@pytest.fixture(scope="session")
def outsider(engine_up: Any) -> Outsider:
    """Machine clients and candidates of the shared engine."""
    return Outsider(engine_up.url, engine_up.keys)


@pytest.fixture(scope="session")
def finished(outsider: Outsider) -> season.Season:
    """Exams that are over and graded, played once: see season.py."""
    return unhurried(lambda duration_s: season.play(outsider, duration_s), (8, 20, 60))
