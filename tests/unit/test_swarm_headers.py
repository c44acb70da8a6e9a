"""The swarm's requests are, byte for byte, what Chromium sends (loadtest/swarm/headers.py)."""

from __future__ import annotations

import pytest

from loadtest.swarm.headers import Heads, browser_headers, is_trustworthy

# As Chromium 150 was heard to say it, with this machine's answers put in.
SAVE = """POST /v1/sitting/responses HTTP/1.1
Host: localhost:8000
Connection: keep-alive
Content-Length: 7
Pragma: no-cache
Cache-Control: no-cache
sec-ch-ua-platform: "Windows"
authorization: Bearer T
User-Agent: {agent}
sec-ch-ua: "Not;A=Brand";v="8", "Chromium";v="150", "Google Chrome";v="150"
content-type: application/json
sec-ch-ua-mobile: ?0
Accept: */*
Origin: http://localhost:8000
Sec-Fetch-Site: same-origin
Sec-Fetch-Mode: cors
Sec-Fetch-Dest: empty
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: zh-CN,zh;q=0.9

"""
UPGRADE = """GET /v1/channel HTTP/1.1
Host: localhost:8000
Connection: Upgrade
Pragma: no-cache
Cache-Control: no-cache
User-Agent: {agent}
Upgrade: websocket
Origin: http://localhost:8000
Sec-WebSocket-Version: 13
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: zh-CN,zh;q=0.9
Sec-WebSocket-Key: 6MH//HtkmrBfn/0+y7ymQA==
Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits

"""
WORKER = """GET /web/sw.js HTTP/1.1
Host: localhost:8000
Connection: keep-alive
Cache-Control: max-age=0
Accept: */*
Service-Worker: script
Sec-Fetch-Site: same-origin
Sec-Fetch-Mode: same-origin
Sec-Fetch-Dest: serviceworker
User-Agent: {agent}
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: zh-CN,zh;q=0.9
If-None-Match: "abc"

"""
MODULE = """GET /web/app.js HTTP/1.1
Host: localhost:8000
Connection: keep-alive
Origin: http://localhost:8000
sec-ch-ua-platform: "Windows"
If-None-Match: "abc"
User-Agent: {agent}
sec-ch-ua: "Not;A=Brand";v="8", "Chromium";v="150", "Google Chrome";v="150"
sec-ch-ua-mobile: ?0
Accept: */*
Sec-Fetch-Site: same-origin
Sec-Fetch-Mode: cors
Sec-Fetch-Dest: script
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: zh-CN,zh;q=0.9

"""
DOCUMENT = """GET / HTTP/1.1
Host: localhost:8000
Connection: keep-alive
sec-ch-ua: "Not;A=Brand";v="8", "Chromium";v="150", "Google Chrome";v="150"
sec-ch-ua-mobile: ?0
sec-ch-ua-platform: "Windows"
Upgrade-Insecure-Requests: 1
User-Agent: {agent}
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7
Sec-Fetch-Site: none
Sec-Fetch-Mode: navigate
Sec-Fetch-User: ?1
Sec-Fetch-Dest: document
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: zh-CN,zh;q=0.9
If-None-Match: "abc"

"""  # noqa: E501


def heads(url: str = "http://localhost:8000") -> Heads:
    return Heads(url, browser_headers())


def recorded(text: str) -> bytes:
    return text.replace("\n", "\r\n").format(agent=browser_headers()["User-Agent"]).encode()


def test_a_save_has_the_head_of_a_browser() -> None:
    assert heads().fetch("POST", "/v1/sitting/responses", "T", 7) == recorded(SAVE)


def test_an_upgrade_has_the_head_of_a_browser() -> None:
    """With the offer to compress, which the engine does not take."""
    assert heads().upgrade("/v1/channel", "6MH//HtkmrBfn/0+y7ymQA==") == recorded(UPGRADE)


def test_the_page_and_its_parts_have_the_heads_of_a_browser() -> None:
    """Of one that has them already; the last header of some is not where it is in others."""
    assert heads().document("/", '"abc"') == recorded(DOCUMENT)
    assert heads().part("/web/app.js", "script", '"abc"') == recorded(MODULE)
    assert heads().service_worker("/web/sw.js", '"abc"') == recorded(WORKER)


def test_a_call_without_a_body_says_nothing_of_one() -> None:
    """And the sealed paper may come out of a cache, so nothing forbids that."""
    look, sealed = heads().fetch("GET", "/v1/sitting", "T"), heads().fetch("GET", "/v1/sealed/d", cached=True)

    assert not any(name in look for name in (b"ontent-", b"Origin"))
    assert b"no-cache" in look and b"no-cache" not in sealed and b"authorization" not in sealed


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("http://localhost:8000", True), ("http://127.0.0.1", True), ("http://[::1]:8000", True),
        ("https://exam.example", True), ("http://10.1.2.3:8000", False), ("http://exam.example", False),
    ],
)  # fmt: skip
def test_a_browser_tells_of_itself_only_where_it_trusts(url: str, trusted: bool) -> None:
    """Over plain HTTP to a hall's server the heads are shorter, and there is no service worker."""
    head = heads(url).fetch("GET", "/v1/sitting", "T")

    assert is_trustworthy(url) is trusted
    assert (b"sec-ch-ua" in head) is (b"Sec-Fetch-Mode" in head) is trusted


@pytest.mark.parametrize(
    ("url", "host"),
    [("https://exam.example:443", "exam.example"), ("https://exam.example:8443", "exam.example:8443"),
     ("http://[::1]:80/", "[::1]")],
)  # fmt: skip
def test_a_port_is_named_only_where_it_is_not_the_usual_one(url: str, host: str) -> None:
    assert f"\r\nHost: {host}\r\n".encode() in heads(url).document("/")


def test_what_a_plan_says_beyond_a_browser_goes_along_everywhere() -> None:
    told = Heads("http://localhost:8000", {**browser_headers(), "X-Hall": "7"})
    all_heads = (
        told.fetch("GET", "/a", "T"),
        told.document("/"),
        told.part("/web/a.css", "style"),
        told.upgrade("/c", "n"),
    )

    assert all(head.count(b"\r\nX-Hall: 7\r\n") == 1 and head.endswith(b"\r\n\r\n") for head in all_heads)
