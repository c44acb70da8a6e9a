"""The candidate's page and the room's: static files, read once, served from memory. No build, nothing from elsewhere.

The files are the ones beside this module and under `vendor/`; a request can only ever name one of them. A page points
at its modules under a path that holds their common digest, so that a browser keeps them as long as they are the same:
on a room's line a reload costs one small answer. The same files under plain `/web/…` are asked for again each time.
The index gets its modules as one file (bundle.py), since fifty small ones cost more in headers than in code.
The service worker gets the release and the files that the index names written into it: a new release is a new worker.
Comments stay here: they are a seventh of the bytes, and a machine's share of the line may be 10 kbit/s. Each file is
packed once, at the start: with brotli, a seventh smaller than gzip, for browsers (all ask for it over TLS and on their
own machine), with gzip for proxies that know no better.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import posixpath
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import brotli
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.rules.errors import Refused
from engine.web.bundle import bundle

INDEX = "index.html"
PAGES = {"/": INDEX, "/room": "room.html"}  # what can be typed as an address; each names its own modules
WORKER = "sw.js"
ENTRY = "app.js"
_FOLDED = "page/"  # where the bundle stands
_PLAIN_PREFIX = "/web/"
_STARTED = f"{_PLAIN_PREFIX}{ENTRY}"
_BUNDLED = f"{_PLAIN_PREFIX}{_FOLDED}{ENTRY}"
_FOLDER = Path(__file__).parent
_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
# A module's own imports; what it imports only when it is needed (`import('./words.en.js')`) is not fetched ahead.
_IMPORTED = re.compile(r"""(?:\bfrom|^import) ?['"](\.{1,2}/[^'"]+)['"]""", re.MULTILINE)
_NAMED = re.compile(r'src="' + _PLAIN_PREFIX + r'([^"]+\.js)"')
# Lines of nothing but comment; what follows code on its line stays.
_COMMENT = re.compile(r"^ *(?://[^\n]*|/\*(?:(?!\*/).)*\*/ *)$", re.MULTILINE | re.DOTALL)
_RELEASE_CHARACTERS = 16
_RELEASE = re.compile(rf"[0-9a-f]{{{_RELEASE_CHARACTERS}}}")
# Quality 11 takes a fifth of a second for the bundle: worth it for what an exam loads, not for modules read one by one.
_BROTLI_QUALITY = 11
_BROTLI_QUALITY_SINGLE = 5
# A coding of `accept-encoding` and its weight: `br;q=0` is a refusal.
_CODING = re.compile(r"^\s*([\w*-]+)\s*(?:;\s*q\s*=\s*([\d.]+)\s*)?$")
_REVALIDATE = "no-cache"
_KEEP = "public, max-age=31536000, immutable"
# No inline script or style, no other origin, no frame around the exam; figures come out of the sealed paper as blobs.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    # The camera for the photo step and the device check; nothing else that looks, listens or tells where a machine is.
    "permissions-policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "vary": "accept-encoding",
}


@dataclass(frozen=True)
class Page:
    """One file as it is sent: its bytes by coding, the best first and `identity` last."""

    codings: dict[str, bytes]
    content_type: str
    digest: str

    def etag(self, coding: str) -> str:
        """Quoted. Each coding has its own: these are other bytes, and a cache may join ranges of equal tags."""
        return f'"{self.digest}"' if coding == "identity" else f'"{self.digest}-{coding}"'


def routes() -> list[Route]:
    """The pages and `/web/…`, from the files as they were when this process first asked for them."""
    pages, release = _read()

    def answer(request: Request, page: Page, cache_control: str) -> Response:
        taken = _accepted(request.headers.get("accept-encoding", ""))
        coding = next((coding for coding in page.codings if coding in taken), "identity")
        headers = {**_HEADERS, "cache-control": cache_control, "etag": page.etag(coding)}
        if headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if coding != "identity":
            headers["content-encoding"] = coding
        return Response(page.codings[coding], headers=headers, media_type=page.content_type)

    def page_of(name: str) -> Callable[[Request], Awaitable[Response]]:
        async def page(request: Request) -> Response:
            return answer(request, pages[name], _REVALIDATE)

        return page

    async def file(request: Request) -> Response:
        path = request.path_params["path"]
        first, _, rest = path.partition("/")
        if path in pages:
            reply = answer(request, pages[path], _REVALIDATE)
            if path == WORKER:
                reply.headers["service-worker-allowed"] = "/"
            return reply
        # Another release's path (a page opened before an upgrade) gets this one's files, but is not told to keep them.
        if rest in pages and _RELEASE.fullmatch(first):
            return answer(request, pages[rest], _KEEP if first == release else _REVALIDATE)
        raise Refused("not_found", f"the page has no file {path[:80]!r}")

    return [
        *(Route(path, page_of(name), methods=["GET"]) for path, name in PAGES.items()),
        Route(_PLAIN_PREFIX + "{path:path}", file, methods=["GET"]),
    ]


def release() -> str:
    """The digest over all files that their paths carry."""
    return _read()[1]


@cache
def _read() -> tuple[dict[str, Page], str]:
    """All files by their path from here, and the digest their paths carry; once in a process."""
    found = {path.relative_to(_FOLDER).as_posix(): path for path in sorted(_FOLDER.rglob("*")) if _is_served(path)}
    contents = {name: _without_comments(path) for name, path in found.items()}
    every = hashlib.sha256(b"".join(name.encode() + b"\0" + content for name, content in contents.items()))
    release = every.hexdigest()[:_RELEASE_CHARACTERS]
    contents[INDEX] = contents[INDEX].replace(b'"' + _STARTED.encode(), b'"' + _BUNDLED.encode())
    contents |= _bundled(contents)
    for name in list(contents):
        if name.endswith(".html"):
            contents[name] = _with_release(contents[name], contents, release)
    contents[WORKER] = _for_release(release, contents[INDEX]) + contents[WORKER]
    return {name: _page(name, content) for name, content in contents.items()}, release


def _bundled(contents: dict[str, bytes]) -> dict[str, bytes]:
    """The candidate's page in one file, and beside it whatever that fetches later."""
    whole, addresses = bundle(ENTRY, contents)
    later = {name: content for name, content in contents.items() if name.endswith(".js") and name != WORKER}
    return {_FOLDED + name: content for name, content in {**later, **addresses, ENTRY: whole}.items()}


def _is_served(path: Path) -> bool:
    return path.suffix in _CONTENT_TYPES


def _without_comments(path: Path) -> bytes:
    """The file as it is sent; every line keeps its number, so that a fault told by a browser can be found here."""
    content = path.read_bytes()
    if path.suffix not in (".js", ".css") or path.parent != _FOLDER:
        return content
    return _COMMENT.sub(lambda comment: "\n" * comment.group().count("\n"), content.decode()).encode()


def _with_release(page: bytes, contents: dict[str, bytes], release: str) -> bytes:
    """The page, naming this release's files, and all modules it starts with at once instead of one after the other."""
    prefix = f"{_PLAIN_PREFIX}{release}/"
    text = page.decode()
    modules = sorted({module for entry in _NAMED.findall(text) for module in modules_of(entry, contents)})
    preloads = "\n".join(f'  <link rel="modulepreload" href="{prefix}{name}">' for name in modules)
    text = text.replace(_PLAIN_PREFIX, prefix)
    return text.replace("</head>", f"{preloads}\n</head>").encode()


def _for_release(release: str, index: bytes) -> bytes:
    """What the service worker is to keep: the files that the index names, on a line of their own."""
    paths = sorted(set(re.findall(r'"(' + _PLAIN_PREFIX + r'[^"]+)"', index.decode())))
    return f"const RELEASE = {json.dumps(release)}, FILES = {json.dumps(paths)};".encode()


def modules_of(entry: str, contents: dict[str, bytes]) -> set[str]:
    """`entry` and every module that it imports, straight or over others, before it can run."""
    reached: set[str] = set()
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        if name.startswith(_FOLDED):
            continue
        folder = posixpath.dirname(name)
        imported = _IMPORTED.findall(contents[name].decode())
        waiting += [posixpath.normpath(posixpath.join(folder, path)) for path in imported]
    return reached


def _page(name: str, content: bytes) -> Page:
    single = name.endswith(".js") and name != WORKER and not name.startswith(_FOLDED)
    quality = _BROTLI_QUALITY_SINGLE if single else _BROTLI_QUALITY
    packed = {
        "br": brotli.compress(content, mode=brotli.MODE_TEXT, quality=quality),
        "gzip": gzip.compress(content, 9, mtime=0),
    }
    smaller = {coding: bytes_ for coding, bytes_ in packed.items() if len(bytes_) < len(content)}
    return Page(
        codings={**smaller, "identity": content},
        content_type=_CONTENT_TYPES[posixpath.splitext(name)[1]],
        digest=hashlib.sha256(content).hexdigest()[:32],
    )


def _accepted(header: str) -> set[str]:
    """The codings a client takes; what is malformed it does not."""
    found = (_CODING.match(part.lower()) for part in header.split(","))
    weights = {match[1]: match[2] for match in found if match}
    return {coding for coding, weight in weights.items() if weight is None or weight.strip("0.")}
