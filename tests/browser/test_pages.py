"""How the page's files are served: complete, under the strict policy, kept by browsers, nothing else reachable."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext
from starlette.applications import Starlette
from starlette.testclient import TestClient

from engine.rules.errors import ExamError
from engine.web import pages
from engine.wire import problem_response
from tests.browser.hall import Exam, Seat

FOLDER = Path(pages.__file__).parent
SENT_BYTES_MAX = 60_000  # the whole page over a room's line
GZIP_BYTES_MAX = 64_000  # and through a proxy that knows no brotli


@pytest.fixture(scope="module")
def client() -> TestClient:
    refusals = {ExamError: lambda request, error: problem_response(error)}
    return TestClient(Starlette(routes=pages.routes(), exception_handlers=refusals))  # type: ignore[dict-item]


def test_index_is_revalidated_and_names_files_that_are_kept(client: TestClient) -> None:
    index = client.get("/")
    named = set(re.findall(r'(?:href|src)="(/web/[^"]+)"', index.text))

    assert index.headers["cache-control"] == "no-cache"
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    assert any(path.endswith("/page/app.js") for path in named)
    for path in named:
        assert client.get(path).headers["cache-control"] == "public, max-age=31536000, immutable", path


def test_comments_stay_at_home_and_lines_keep_their_numbers(client: TestClient) -> None:
    for path in FOLDER.glob("*.js"):
        sent = client.get(f"/web/{path.name}").text
        told, kept = sent.split("\n"), path.read_text("utf-8").split("\n")
        if path.name == pages.WORKER:
            assert told[0].startswith("const RELEASE = ")
            told[0] = ""

        assert len(told) == len(kept)
        assert all(line in ("", original) for line, original in zip(told, kept, strict=True)), path.name
        assert not re.search(r"^ *//", sent, re.MULTILINE)
        code = [line for line in kept if line.startswith(("export ", "import ", "const ", "async ", "function "))]
        assert [line for line in code if line not in told] == [], f"{path.name} lost code"


def test_service_worker_may_look_after_the_whole_page_and_knows_its_release(client: TestClient) -> None:
    worker = client.get("/web/sw.js")
    told = re.match(r'const RELEASE = "([0-9a-f]{16})", FILES = (\[[^\]]*\]);', worker.text)

    assert told is not None
    assert worker.headers["service-worker-allowed"] == "/" and worker.headers["cache-control"] == "no-cache"
    assert set(json.loads(told[2])) == set(re.findall(r'"(/web/[^"]+)"', client.get("/").text))
    assert all(path.startswith(f"/web/{told[1]}/") for path in json.loads(told[2]))


def test_every_answer_carries_the_policy(client: TestClient) -> None:
    for path in ("/", "/web/app.js", "/web/page.css", "/web/icon.svg"):
        headers = client.get(path).headers

        assert headers["content-security-policy"] == pages.CONTENT_SECURITY_POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("coding", ["br", "gzip", "identity"])
def test_unchanged_file_costs_no_body(client: TestClient, coding: str) -> None:
    wanted = {"accept-encoding": coding}
    etag = client.get("/web/app.js", headers=wanted).headers["etag"]
    again = client.get("/web/app.js", headers={**wanted, "if-none-match": f'W/"0", {etag}'})

    assert again.status_code == 304 and again.content == b""
    assert again.headers["etag"] == etag and again.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize(
    ("wanted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0.5", "br"),
        ("gzip, br;q=0", "gzip"),
        ("GZIP", "gzip"),
        ("gzip;q=0.0, br; q=0", None),
        ("deflate, nobr, abr", None),
        ("", None),
        ("identity", None),
    ],
)
def test_client_gets_the_smallest_form_that_it_takes(client: TestClient, wanted: str, coding: str | None) -> None:
    """Each form has a tag of its own, so that no cache between mixes them up."""
    plain = client.get("/web/app.js", headers={"accept-encoding": "identity"})
    reply = client.get("/web/app.js", headers={"accept-encoding": wanted})

    assert reply.headers.get("content-encoding") == coding
    assert reply.headers["vary"] == "accept-encoding"
    assert reply.content == plain.content
    assert (reply.headers["etag"] == plain.headers["etag"]) == (coding is None)


def test_file_of_another_release_is_served_but_not_kept(client: TestClient) -> None:
    old = client.get("/web/0123456789abcdef/app.js")

    assert old.text == client.get("/web/app.js").text and "import" in old.text
    assert old.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/web/pages.py",
        "/web/__init__.py",
        "/web/..%2fpages.py",
        "/web/%2e%2e/settings.py",
        "/web/a/b/app.js",
        "/web/a/app.js",
        "/web/vendor/README.md",
        "/web/vendor/SHA256SUMS",
        "/web/",
        "/web//etc/passwd",
    ],
)
def test_nothing_else_is_reachable(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("taken", "coding", "bytes_max"),
    [("gzip, deflate, br, zstd", "br", SENT_BYTES_MAX), ("gzip, deflate", "gzip", GZIP_BYTES_MAX)],
)
def test_page_is_small(client: TestClient, taken: str, coding: str, bytes_max: int) -> None:
    """All that an exam in Chinese loads before its paper: the index, what it names, and the service worker."""
    index = client.get("/").text
    sizes = {}
    for path in {"/", "/web/sw.js", *re.findall(r'(?:href|src)="(/web/[^"]+)"', index)}:
        reply = client.get(path, headers={"accept-encoding": taken})
        assert reply.headers["content-encoding"] == coding
        sizes[path] = int(reply.headers["content-length"])

    assert any(path.endswith("/page/app.js") for path in sizes)
    assert sum(sizes.values()) < bytes_max, sizes


def test_browser_really_gets_no_more_than_that(exam: Exam, machine: BrowserContext) -> None:
    """Bodies as they came over the wire, from the address to the first question, without the engine's calls."""
    sizes = {
        path: int(size)
        for path, size in Seat(machine, exam)
        .enter()
        .page.evaluate(
            """[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
            .map(({ name, encodedBodySize }) => [new URL(name).pathname, encodedBodySize])"""
        )
        if not path.startswith("/v1/")
    }

    assert {"/", "page.css", "exam.css", "app.js"} <= {path.rsplit("/", 1)[-1] or path for path in sizes}
    assert 30_000 < sum(sizes.values()) < SENT_BYTES_MAX, sizes


def test_page_is_from_nowhere_else(client: TestClient) -> None:
    """No module of ours names another origin or makes elements out of text; the vendored ones have their digests."""
    for path in FOLDER.iterdir():
        if path.suffix in (".js", ".css", ".svg", ".html"):
            text = path.read_text("utf-8")
            assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), f"{path.name} points elsewhere"
            assert not re.search(
                r"\.innerHTML|\.outerHTML|insertAdjacentHTML|dangerouslySet|\beval\(|document\.write", text
            ), path.name


def test_vendored_modules_are_the_listed_ones_and_import_one_another_only() -> None:
    vendor = FOLDER / "vendor"
    lines = (vendor / "SHA256SUMS").read_text("utf-8").splitlines()
    listed = {name: digest for digest, name in map(str.split, lines)}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in vendor.iterdir() if path.name in listed
    }
    modules = sorted(path for path in vendor.iterdir() if path.suffix == ".js")

    assert found == listed and {path.name for path in modules} <= set(listed)
    for path in modules:
        text = path.read_text("utf-8")
        assert all(name.startswith("./") for name in re.findall(r"""\b(?:from|import) ?['"]([^'"]+)""", text)), (
            path.name
        )
        assert not re.search(r"\beval\(|new Function|sourceMappingURL", text), path.name
