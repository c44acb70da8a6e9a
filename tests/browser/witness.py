"""What one tab was told and what it showed about its answers, held against PostgreSQL in the end.

Promise tested: every change that the engine acknowledged to this tab is recorded, and every answer that the tab showed
as recorded is too. The wire is read outside the page, the screen inside it; neither asks the page what it thinks.
"""

from __future__ import annotations

import json
import unicodedata
from collections import deque
from typing import Any, cast

from playwright.sync_api import Page, Response, WebSocket

_SAVES = "/v1/sitting/responses"
# Tells each answer that is on the screen while the line below it says `recorded`; once as long as it stays the same.
_LOOK = """(() => {
  let last = '';
  const look = () => {
    const question = document.querySelector('.question');
    if (!question || !document.querySelector('.state[data-state="recorded"]')) return;
    const options = [...question.querySelectorAll('[data-option]')];
    const shown = options.length ? options.filter((input) => input.checked).map((input) => input.dataset.option)
      : [...question.querySelectorAll('input[type=text], textarea')].map((field) => field.value);
    const told = JSON.stringify([question.dataset.item, shown]);
    if (told !== last) sawRecorded(last = told);
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
})()"""


class Witness:
    """Stands beside one tab from before it is opened."""

    def __init__(self, page: Page) -> None:
        self.acknowledged: set[tuple[str, int]] = set()
        self.seen: list[tuple[str, list[str]]] = []
        self.tokens: list[str] = []
        page.on("response", self._answered)
        page.on("websocket", self._listen)
        page.expose_binding("sawRecorded", lambda source, told: self.seen.append(tuple(json.loads(told))))
        page.add_init_script(_LOOK)

    def _answered(self, reply: Response) -> None:
        """Over HTTP: the reply to one call acknowledges all of its changes."""
        self._know(reply.request.headers.get("authorization", "").removeprefix("Bearer "))
        if reply.url.endswith(_SAVES) and reply.status == 200:
            self._acknowledge(json.loads(reply.request.post_data or "{}"))

    def _listen(self, channel: WebSocket) -> None:
        """Over the channel: answers come in the order of the frames; the first frame is hello, which `time` answers."""
        waiting: deque[Any] = deque()

        def sent(frame: str | bytes) -> None:
            message = json.loads(frame)
            if message["type"] == "hello" and message["token"]:
                self._know(message["token"])
            else:
                waiting.append(message)

        def received(frame: str | bytes) -> None:
            answer = json.loads(frame)["type"]
            if answer in ("saved", "error") and waiting:
                message = waiting.popleft()
                if answer == "saved":
                    self._acknowledge(message)

        channel.on("framesent", sent)
        channel.on("framereceived", received)

    def _know(self, token: str) -> None:
        if token and token not in self.tokens:
            self.tokens.append(token)

    def _acknowledge(self, message: dict[str, Any]) -> None:
        self.acknowledged |= {(change["item"], change["seq"]) for change in message["changes"]}

    def missing(self, history: list[dict[str, Any]]) -> list[str]:
        """What was acknowledged or shown as recorded, and is not in `history`."""
        newest: dict[str, int] = {}
        recorded: dict[str, list[list[str]]] = {}
        for change in history:
            item = change["item"]
            newest[item] = max(newest.get(item, 0), change["seq"])
            recorded.setdefault(item, []).append(_as_shown(change["value"]))
        # A change that was overtaken by a newer one of its item counts as saved and is written nowhere.
        lost = [f"acknowledged: {item} {seq}" for item, seq in self.acknowledged if newest.get(item, 0) < seq]
        untrue = [f"shown: {item} {shown}" for item, shown in self.seen if _folded(shown) not in recorded.get(item, [])]
        return sorted(lost + untrue)


def _as_shown(value: Any) -> list[str]:
    """A recorded value as the screen has it."""
    if value is None:
        return []
    if isinstance(value, bool):
        return [str(value).lower()]
    return _folded([str(part) for part in value] if isinstance(value, list) else [str(value)])


def _folded(shown: list[str]) -> list[str]:
    """Options in one order, numbers as one spelling, an empty field as no answer."""
    return sorted(_number(text) for text in shown) if any(shown) else []


def _number(text: str) -> str:
    try:
        return repr(float(unicodedata.normalize("NFKC", text).replace("。", ".").strip()))
    except ValueError:
        return cast(str, text)
