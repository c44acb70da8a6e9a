"""The candidate's page: static files, read once, served from memory. No build step and nothing from elsewhere.

The files are the ones beside this module; a request can only ever name one of them. The index points at its modules
under a path that holds their common digest, so that a browser keeps them as long as they are the same: on a room's
line a reload costs one small answer. The same files under plain `/web/…` are asked for again each time.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.rules.errors import Refused

INDEX = "index.html"
_PLAIN_PREFIX = "/web/"
_FOLDER = Path(__file__).parent
_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
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
    "vary": "accept-encoding",
}


@dataclass(frozen=True)
class Page:
    """One file as it is sent; `etag` is quoted."""

    content: bytes
    packed: bytes
    content_type: str
    etag: str


def routes() -> list[Route]:
    """`/` and `/web/…`, from the files as they are now."""
    pages, release = _read()

    def answer(request: Request, page: Page, cache_control: str) -> Response:
        headers = {**_HEADERS, "cache-control": cache_control, "etag": page.etag}
        # The validator is the content's, packed or not: a shared cache tells the two apart by `vary`.
        if page.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(page.content, headers=headers, media_type=page.content_type)
        headers["content-encoding"] = "gzip"
        return Response(page.packed, headers=headers, media_type=page.content_type)

    async def index(request: Request) -> Response:
        return answer(request, pages[INDEX], _REVALIDATE)

    async def file(request: Request) -> Response:
        page = pages.get(request.path_params["name"])
        if page is None:
            raise Refused("not_found", f"the page has no file {request.path_params['name'][:80]!r}")
        # Another release's path (a page opened before an upgrade) gets this one's files, but is not told to keep them.
        kept = request.path_params.get("release") == release
        return answer(request, page, _KEEP if kept else _REVALIDATE)

    return [
        Route("/", index, methods=["GET"]),
        Route(_PLAIN_PREFIX + "{release}/{name}", file, methods=["GET"]),
        Route(_PLAIN_PREFIX + "{name}", file, methods=["GET"]),
    ]


def _read() -> tuple[dict[str, Page], str]:
    """All files by name, and the digest their paths carry."""
    found = {path.name: path for path in sorted(_FOLDER.iterdir()) if path.suffix in _CONTENT_TYPES}
    contents = {name: path.read_bytes() for name, path in found.items()}
    every = hashlib.sha256(b"".join(name.encode() + b"\0" + content for name, content in contents.items()))
    release = every.hexdigest()[:16]
    contents[INDEX] = _with_release(contents[INDEX], contents, release)
    pages = {name: _page(content, _CONTENT_TYPES[found[name].suffix]) for name, content in contents.items()}
    return pages, release


def _with_release(index: bytes, contents: dict[str, bytes], release: str) -> bytes:
    """The index, naming this release's files and all modules at once instead of one after the other."""
    prefix = f"{_PLAIN_PREFIX}{release}/"
    modules = [name for name in contents if name.endswith(".js")]
    preloads = "\n".join(f'  <link rel="modulepreload" href="{prefix}{name}">' for name in modules)
    text = index.decode().replace(_PLAIN_PREFIX, prefix)
    return text.replace("</head>", f"{preloads}\n</head>").encode()


def _page(content: bytes, content_type: str) -> Page:
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return Page(content, gzip.compress(content, 9, mtime=0), content_type, etag)
