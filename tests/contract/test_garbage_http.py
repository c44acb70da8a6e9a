"""Whatever is wrong with a request as such, the engine answers: methods, paths, heads, lengths. Never a 500."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from engine.rules.limits import HEAD_BYTES_MAX
from tests.contract.outsider import Exam, Outsider, Sitting
from tests.contract.raw import ANSWER_S, SAVE, WHOLE, Wire, call, change, harmless

MIB = 2**20


@pytest.fixture(scope="module")
def exam(outsider: Outsider) -> Exam:
    return outsider.exam()


@pytest.fixture(scope="module")
def sitting(exam: Exam) -> Sitting:
    return exam.enter()


@pytest.fixture
def wire(outsider: Outsider, sitting: Sitting) -> Iterator[Wire]:
    with harmless(outsider, sitting) as wire:
        yield wire


# --- how a body is sent ----------------------------------------------------------------------------------------
def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def test_chunks_are_read_like_any_body(wire: Wire) -> None:
    """A body without Content-Length, in three chunks that part a character in the middle."""
    body = call(change("甲".encode().join([b'"', b'"'])))
    head = b"POST %s HTTP/1.1\r\nHost: exam\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer %s\r\n\r\n"
    middle = body.index("甲".encode()) + 1

    answer = wire.exchange(head % (SAVE.encode(), wire.token) + chunked(body[:5], body[5:middle], body[middle:]))

    assert answer.problem()["code"] == "autosave.invalid"


def test_too_many_chunks_are_too_large(wire: Wire) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: exam\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer %s\r\n\r\n"

    answer = wire.exchange(head % (SAVE.encode(), wire.token) + chunked(*[b" " * 65_536] * 16))

    assert answer.problem()["code"] == "request.too_large"


BROKEN = {
    "no_http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "words": b"hello, is this the exam?\r\n\r\n",
    "chunk_size": b"POST /v1/login HTTP/1.1\r\nHost: exam\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n",
    "chunk_size_negative": b"POST /v1/login HTTP/1.1\r\nHost: exam\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "content_length": b"POST /v1/login HTTP/1.1\r\nHost: exam\r\nContent-Length: many\r\n\r\n",
    "content_length_negative": b"POST /v1/login HTTP/1.1\r\nHost: exam\r\nContent-Length: -1\r\n\r\n",
    "content_length_twice": b"POST /v1/login HTTP/1.1\r\nHost: exam\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
    "both_lengths": b"POST /v1/login HTTP/1.1\r\nHost: exam\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
    "header_without_colon": b"GET /healthz HTTP/1.1\r\nHost exam\r\n\r\n",
    "header_with_nul": b"GET /healthz HTTP/1.1\r\nHost: exam\r\nX-More: a\x00b\r\n\r\n",
    "unknown_method": b"SMASH /healthz HTTP/1.1\r\nHost: exam\r\n\r\n",
    "lower_case_method": b"get /healthz HTTP/1.1\r\nHost: exam\r\n\r\n",
    "unknown_version": b"GET /healthz HTTP/9.9\r\nHost: exam\r\n\r\n",
    "no_path": b"GET  HTTP/1.1\r\nHost: exam\r\n\r\n",
    "relative_path": b"GET healthz HTTP/1.1\r\nHost: exam\r\n\r\n",
    "star": b"OPTIONS * HTTP/1.1\r\nHost: exam\r\n\r\n",
    "connect": b"CONNECT exam:443 HTTP/1.1\r\nHost: exam\r\n\r\n",
    "raw_utf8_path": "GET /v1/papers/甲 HTTP/1.1\r\nHost: exam\r\n\r\n".encode(),
    "raw_latin_path": b"GET /v1/papers/\xff HTTP/1.1\r\nHost: exam\r\n\r\n",
    "space_in_the_path": b"GET /v1/papers/a b HTTP/1.1\r\nHost: exam\r\n\r\n",
    "control_in_the_path": b"GET /v1/papers/\x01 HTTP/1.1\r\nHost: exam\r\n\r\n",
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_what_is_no_http_request_is_answered_with_a_problem(wire: Wire, sent: bytes) -> None:
    """Also where the parser below the engine gives up."""
    assert wire.exchange(sent).problem()["code"] in (
        "request.malformed",
        "method.not_allowed",
        "not_found",
        "auth.missing",
    )


# --- methods ---------------------------------------------------------------------------------------------------
PATHS = ("/v1/sitting", SAVE, "/v1/login", "/v1/papers/P1", "/v1/batches/B1/roster", "/healthz", "/", "/v1/results")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PATCH", "DELETE", "LINK", "PROPFIND", "QUERY"])
def test_a_method_no_path_has_is_405_and_names_the_ones_it_has(wire: Wire, method: str, path: str) -> None:
    answer = wire.request(method, path, bearer=wire.key)

    assert answer.problem()["code"] == "method.not_allowed"
    assert set(answer.headers["allow"].split(", ")) <= {"GET", "HEAD", "POST", "PUT"}


def test_allow_names_every_method_of_a_path(wire: Wire) -> None:
    assert wire.request("DELETE", "/v1/papers/P1").headers["allow"] == "GET, HEAD, PUT"
    assert wire.request("DELETE", SAVE).headers["allow"] == "POST"
    assert wire.request("GET", SAVE).problem()["code"] == "method.not_allowed"


@pytest.mark.parametrize("path", [*PATHS, "/v1/nothing", "/v1/sealed/" + "0" * 64])
def test_head_is_answered_like_get_without_a_body(wire: Wire, path: str) -> None:
    head, get = (wire.request(method, path, bearer=wire.key) for method in ("HEAD", "GET"))

    assert (head.status, head.body) == (get.status, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


# --- paths and queries -----------------------------------------------------------------------------------------
ODD_IDS = {
    "nul": "%00",
    "nul_inside": "P1%00",
    "newline": "P1%0A",
    "dots": "..",
    "encoded_dots": "%2E%2E",
    "encoded_slash": "a%2Fb",
    "encoded_backslash": "a%5Cb",
    "space": "a%20b",
    "utf8": "%E7%94%B2",
    "invalid_utf8": "%FF%FE",
    "surrogate": "%ED%A0%80",
    "half_escape": "%",
    "bad_escape": "%zz",
    "question_mark": "%3F",
    "long": "A" * 65,
    "very_long": "A" * 60_000,
    "sql": "'%20OR%201=1;--",
    "template": "{batch_id}",
}
ID_CALLS = [
    ("GET", "/v1/papers/{}", "schedule"),
    ("PUT", "/v1/papers/{}", "schedule"),
    ("GET", "/v1/batches/{}", "schedule"),
    ("PUT", "/v1/batches/{}", "schedule"),
    ("PUT", "/v1/batches/{}/roster", "schedule"),
    ("POST", "/v1/batches/{}/arm", "schedule"),
    ("POST", "/v1/batches/{}/release", "schedule"),
    ("GET", "/v1/batches/{}/results", "results"),
    ("GET", "/v1/sittings/{}/responses", "results"),
    ("GET", "/v1/sittings/{}/history", "results"),
    ("GET", "/v1/sealed/{}", ""),
    ("GET", "/web/{}", ""),
    ("GET", "/web/{}/app.js", ""),
]
BODIES = {"arm": b'{"witnesses":["a","b"]}', "release": b'{"approved_by":["a","b"]}', "roster": b"[]"}


@pytest.mark.parametrize("odd", ODD_IDS.values(), ids=ODD_IDS)
def test_an_id_that_is_none_is_not_found_or_invalid(outsider: Outsider, wire: Wire, odd: str) -> None:
    for method, path, scope in ID_CALLS:
        bearer = outsider.keys[scope].encode() if scope else b""
        body = BODIES.get(path.rpartition("/")[2], b"{}")
        answer = wire.request(method, path.format(odd), body, bearer=bearer)
        if path.endswith("/app.js") and answer.status == 200:
            continue  # any release's path gets this release's files
        assert answer.problem()["code"] in ("not_found", "paper.invalid", "batch.invalid", "method.not_allowed"), path


@pytest.mark.parametrize(
    "path", ["//", "/v1", "/v1/", "/v1//login", "/v1/sitting/", "/healthz/", "/v1/papers/", "/%2e%2e/", "/v1/%00", "/*"]
)
def test_a_path_that_does_not_exist_is_not_found(wire: Wire, path: str) -> None:
    """And not redirected to one that does."""
    assert wire.request("GET", path, bearer=wire.key).problem()["code"] == "not_found"


@pytest.mark.parametrize(
    "query", ["-1", "1.5", "1e3", "a", "%00", "%FF", "%D9%A3", "0" * 5000 + "1", "9" * 5000, "9" * 19, "1" + "0" * 20]
)
def test_a_number_in_a_query_that_is_none_is_invalid(outsider: Outsider, wire: Wire, exam: Exam, query: str) -> None:
    results = f"/v1/batches/{exam.batch_id}/results"
    for path, name, scope in [
        ("/v1/batches", "from_ms", "schedule"),
        ("/v1/batches", "to_ms", "schedule"),
        ("/v1/results", "after", "results"),
        (results, "after", "results"),
        (results, "limit", "results"),
    ]:
        answer = wire.request("GET", f"{path}?{name}={query}", bearer=outsider.keys[scope].encode())
        problem = answer.problem()
        assert (problem["code"], problem["errors"][0]["pointer"]) == ("request.invalid", f"/{name}"), path


@pytest.mark.parametrize("query", [b"\xff", b"%", b"%FF", b"&&==&", b"a" * 60_000, b"a=1&" * 5000])
def test_odd_queries_do_no_harm(wire: Wire, query: bytes) -> None:
    for path in (b"/v1/batches", b"/v1/nothing", b"/healthz"):
        answer = wire.exchange(
            b"GET %s?%s HTTP/1.1\r\nHost: exam\r\nAuthorization: Bearer %s\r\n\r\n" % (path, query, wire.key)
        )
        if answer.status != 200:
            answer.problem()


# --- headers ---------------------------------------------------------------------------------------------------
CREDENTIALS = {
    "empty": b"",
    "no_credential": b"Bearer",
    "blank_credential": b"Bearer    ",
    "basic": b"Basic bGs6bGs=",
    "unknown_scheme": b"\xe7\x94\xb2 token",
    "bytes": b"Bearer \xff\xfe\x80",
    "utf8": "Bearer 考生".encode(),
    "unknown_key": b"Bearer lk_schedule_000000000000_" + b"A" * 32,
    "unknown_key_of_bytes": b"Bearer lk_\xff\xe9",
    "unknown_token": b"Bearer a~b~1~" + b"A" * 43,
    "many_marks": b"Bearer " + b"~" * 1000,
    "huge": b"Bearer lk_" + b"A" * MIB,
    "huge_token": b"Bearer a~b~1~" + b"A" * MIB,
    "sql": b"Bearer lk_' OR 1=1;--",
}


@pytest.mark.parametrize("credential", CREDENTIALS.values(), ids=CREDENTIALS)
def test_a_credential_that_is_none_is_auth_missing(wire: Wire, credential: bytes) -> None:
    calls = [
        ("GET", "/v1/sitting", b""),
        ("POST", SAVE, WHOLE),
        ("PUT", "/v1/papers/P1", b"{}"),
        ("GET", "/v1/results", b""),
    ]
    for method, path, body in calls:
        answer = wire.request(method, path, body, headers=b"Authorization: %s\r\n" % credential)
        assert answer.problem()["code"] == "auth.missing", path
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_is_no_token_and_a_token_no_key(wire: Wire) -> None:
    assert wire.request("GET", "/v1/sitting", bearer=wire.key).problem()["code"] == "auth.missing"
    assert wire.request("GET", "/v1/batches", bearer=wire.token).problem()["code"] == "auth.missing"


@pytest.mark.parametrize(
    "host", [b"[", b"[::1", b"a b", b"exam:port", b"\xff", b"", b"a" * 10_000, b"@", b"/", b"exam\\"]
)
def test_odd_hosts_do_no_harm(wire: Wire, host: bytes) -> None:
    for path in (b"/v1/nothing", b"/v1/sitting", b"/v1/sitting/", b"/v1/login"):
        wire.exchange(b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (path, host)).problem()


@pytest.mark.parametrize("content_type", [b"", b"text/plain", b"application/json; charset=\xff", b"/", b"a" * 10_000])
def test_odd_content_types_do_no_harm(wire: Wire, exam: Exam, content_type: bytes) -> None:
    """The content decides."""
    for path, body in ((f"/v1/batches/{exam.batch_id}/roster", b"a,b\n1,2"), ("/v1/batches/B1", b"{}")):
        header = b"Content-Type: %s\r\n" % content_type
        answer = wire.request("PUT", path, body, bearer=wire.key, headers=header)
        assert answer.problem()["code"] in ("roster.invalid", "roster.file_format", "batch.invalid")


@pytest.mark.parametrize("accept", [b"text/csv", b"image/*", b"\xff", b"application/json-seq", b"," * 5000 + b"x/y"])
def test_a_format_results_do_not_come_in_is_not_acceptable(
    outsider: Outsider, wire: Wire, exam: Exam, accept: bytes
) -> None:
    path, bearer = f"/v1/batches/{exam.batch_id}/results", outsider.keys["results"].encode()
    answer = wire.request("GET", path, bearer=bearer, headers=b"Accept: %s\r\n" % accept)
    if answer.status != 200:
        assert answer.problem()["code"] == "not_acceptable"


def test_many_headers_and_large_ones_are_answered(wire: Wire) -> None:
    many = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 100) for number in range(5000))

    assert wire.request("GET", "/v1/nothing", headers=many).problem()["code"] == "not_found"
    assert wire.request("GET", "/v1/nothing", headers=b"Cookie: %s\r\n" % (b"z" * MIB)).problem()["code"] == "not_found"


def test_an_upgrade_that_is_not_offered_is_answered_as_what_it_asks_for(wire: Wire) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n"

    assert wire.request("GET", "/v1/nothing", headers=upgrade).problem()["code"] == "not_found"
    assert wire.request("GET", "/v1/sitting", headers=b"Upgrade: h2c\r\nConnection: Upgrade\r\n").problem()


def test_requests_in_one_segment_are_answered_in_order(wire: Wire) -> None:
    """A refused body must not be taken for the next request."""
    first = b"POST /v1/login HTTP/1.1\r\nHost: exam\r\nContent-Length: 22\r\n\r\nGET /metrics HTTP/1.1\r\n"
    second = b"GET /v1/nothing HTTP/1.1\r\nHost: exam\r\n\r\n"
    with socket.create_connection(wire.address, timeout=ANSWER_S) as line:
        line.sendall(first + second)
        stream = line.makefile("rb")
        codes = []
        for _ in range(2):
            stream.readline()
            length = 0
            while (header := stream.readline()) != b"\r\n":
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            codes.append(json.loads(stream.read(length))["code"])

    assert codes == ["request.malformed", "not_found"]


def test_endless_trailers_are_bounded_as_a_head_is(wire: Wire) -> None:
    """Before anybody has shown a credential: what follows the last chunk may not fill the memory."""
    trailer = b"X-Trailer: %s\r\n" % (b"y" * 65_000)
    head = b"POST /v1/login HTTP/1.1\r\nHost: exam\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    with socket.create_connection(wire.address, timeout=ANSWER_S) as line:
        line.sendall(head)
        with pytest.raises(OSError):
            for _ in range(2 * HEAD_BYTES_MAX // len(trailer)):
                line.sendall(trailer)
            line.sendall(b"\r\n")
            while line.recv(65_536):
                pass
            raise ConnectionAbortedError("closed without a reset")

    assert wire.is_alive()


def test_trailers_of_a_chunked_call_change_nothing(wire: Wire) -> None:
    """A credential counts where credentials stand."""
    body = call(change(item=b'"Z9"'))
    chunked = b"%x\r\n%s\r\n0\r\nAuthorization: Bearer other\r\nX-Other: 1\r\n\r\n" % (len(body), body)
    head = b"POST %s HTTP/1.1\r\nHost: exam\r\nTransfer-Encoding: chunked\r\n" % SAVE.encode()

    answer = wire.exchange(head + b"Authorization: Bearer %s\r\n\r\n" % wire.token + chunked)

    assert answer.problem()["code"] == "autosave.invalid"


def test_a_client_that_leaves_in_the_middle_harms_nobody(wire: Wire) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: exam\r\nContent-Length: 1000\r\nAuthorization: Bearer %s\r\n\r\n"
    for _ in range(20):
        with socket.create_connection(wire.address, timeout=ANSWER_S) as line:
            line.sendall(head % (SAVE.encode(), wire.token) + WHOLE)

    assert wire.is_alive()
