"""Loads the candidate's page as a browser does that has it, or has not.

`cold`: the document, everything it names, then what its service worker looks at once more. `cached`: a machine that
had the page before. Where a browser lets it have a service worker (headers.is_trustworthy) only that is asked for anew;
elsewhere the document is. Both are answered with 304 as long as the release is the same; after another one, everything
is fetched. What is known is learnt by the first load of a process, which counts for nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import gevent

from loadtest.swarm.headers import Heads, is_trustworthy
from loadtest.swarm.wire import Http, Origin, Problem, Reply, Unreachable

INDEX = "/"
WORKER = "/web/sw.js"
PAGE_S = 60.0  # for one file over a full room's line
_NAMED = re.compile(r'(?:href|src)="(/web/[^"]+)"')


@dataclass
class Page:
    """The page of one engine, as all machines of this process may have it."""

    origin: Origin
    etags: dict[str, str] = field(default_factory=dict)

    def learn(self) -> None:
        """Load it once, for the ETags. Raises Problem or Unreachable."""
        http = Http(self.origin)
        for path in (INDEX, WORKER):
            self._get(http, path)
        http.close()

    def load(self, http: Http, *, cold: bool) -> int:
        """One machine's load; the bytes of all bodies. Raises Problem or Unreachable."""
        if cold:
            return self._all(http)
        first = WORKER if is_trustworthy(self.origin.url) else INDEX
        reply = self._get(http, first, seen=True)
        return 0 if reply.status == 304 else len(reply.body) + self._all(http)

    def _all(self, http: Http) -> int:
        document = self._get(http, INDEX)
        named = sorted(set(_NAMED.findall(document.body.decode())))
        replies: list[Reply] = [document]
        faults: list[Problem | Unreachable] = []

        def fetch(path: str) -> None:
            try:
                replies.append(self._get(http, path))
            except (Problem, Unreachable) as fault:
                faults.append(fault)

        gevent.joinall([gevent.spawn(fetch, path) for path in named])
        if is_trustworthy(self.origin.url):
            fetch(WORKER)
            fetch(INDEX)
        if faults:
            raise faults[0]
        return sum(len(reply.body) for reply in replies)

    def _get(self, http: Http, path: str, *, seen: bool = False) -> Reply:
        etag = self.etags.get(path, "") if seen else ""
        reply = http.call(head_of(self.origin.heads, path, etag), limit_s=PAGE_S)
        if reply.status == 200:
            self.etags[path] = reply.headers.get("etag", "")
        return reply


def head_of(heads: Heads, path: str, etag: str = "") -> bytes:
    """The head with which a browser asks for a file of the page."""
    if path == INDEX:
        return heads.document(path, etag)
    if path == WORKER:
        return heads.service_worker(path, etag)
    ending = path.rpartition(".")[2]
    return heads.part(path, {"css": "style", "js": "script"}.get(ending, "image"), etag)
