"""Which room a proctor's call is about: `site` and `room` of its query, folded as the roster folds them."""

from __future__ import annotations

from starlette.requests import Request

from engine.rules.limits import PLACE_CHARACTERS_MAX
from engine.rules.rostering import fold_place
from engine.rules.shape import Faults


def read_place(request: Request, faults: Faults) -> tuple[str, str]:
    """Site and room, both needed; a room may be empty, as on a roster without rooms."""
    site, room = (_read(request, name, faults, is_needed=True) for name in ("site", "room"))
    return site or "", room or ""


def read_filter(request: Request, faults: Faults) -> tuple[str | None, str | None]:
    """The same where each may be left out; then it is None."""
    return _read(request, "site", faults), _read(request, "room", faults)


def _read(request: Request, name: str, faults: Faults, *, is_needed: bool = False) -> str | None:
    text = request.query_params.get(name)
    if text is None and not is_needed:
        return None
    if text is None or len(text) > PLACE_CHARACTERS_MAX or "\0" in text:
        faults.add(f"/{name}", f"expected a {name} of at most {PLACE_CHARACTERS_MAX} characters", text)
        return None
    return fold_place(text)
