"""How the page's files are served: complete, under the strict policy, kept by browsers, nothing else reachable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from engine.rules.errors import ExamError
from engine.web import pages
from engine.wire import problem_response

FOLDER = Path(pages.__file__).parent
COMPRESSED_BYTES_MAX = 60_000  # the whole page over a room's line


@pytest.fixture(scope="module")
def client() -> TestClient:
    refusals = {ExamError: lambda request, error: problem_response(error)}
    return TestClient(Starlette(routes=pages.routes(), exception_handlers=refusals))  # type: ignore[dict-item]


def test_index_is_revalidated_and_names_files_that_are_kept(client: TestClient) -> None:
    index = client.get("/")
    named = set(re.findall(r'(?:href|src)="(/web/[^"]+)"', index.text))

    assert index.headers["cache-control"] == "no-cache"
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    assert len(named) > 20
    for path in named:
        assert client.get(path).headers["cache-control"] == "public, max-age=31536000, immutable", path


def test_every_answer_carries_the_policy(client: TestClient) -> None:
    for path in ("/", "/web/app.js", "/web/page.css", "/web/icon.svg"):
        headers = client.get(path).headers

        assert headers["content-security-policy"] == pages.CONTENT_SECURITY_POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_unchanged_file_costs_no_body(client: TestClient) -> None:
    etag = client.get("/web/app.js").headers["etag"]
    again = client.get("/web/app.js", headers={"if-none-match": etag})

    assert again.status_code == 304 and again.content == b""


def test_file_of_another_release_is_served_but_not_kept(client: TestClient) -> None:
    old = client.get("/web/0123456789abcdef/app.js")

    assert old.text == (FOLDER / "app.js").read_text("utf-8")
    assert old.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/web/pages.py",
        "/web/__init__.py",
        "/web/..%2fpages.py",
        "/web/%2e%2e/settings.py",
        "/web/a/b/app.js",
        "/web/",
        "/web//etc/passwd",
    ],
)
def test_nothing_else_is_reachable(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_page_is_small_and_from_nowhere_else(client: TestClient) -> None:
    sent = 0
    for path in FOLDER.iterdir():
        if path.suffix in (".js", ".css", ".svg", ".html"):
            text = path.read_text("utf-8")
            reply = client.get(
                "/" if path.name == "index.html" else f"/web/{path.name}", headers={"accept-encoding": "gzip"}
            )
            sent += int(reply.headers["content-length"])
            assert reply.headers["content-encoding"] == "gzip"
            assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), f"{path.name} points elsewhere"
            assert not re.search(r"\.innerHTML|\.outerHTML|insertAdjacentHTML|\beval\(|document\.write", text), (
                path.name
            )

    assert sent < COMPRESSED_BYTES_MAX, f"{sent} bytes"
