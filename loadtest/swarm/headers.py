"""The heads of requests, as Chromium writes them: which headers, in which order, in which letters. Pure.

Recorded from Chromium 150 by a socket that answered its fetches, its page load and its WebSocket. Bytes on the line are
what a load test on a thin line is about, and a head is three times as long as a save.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

CHROMIUM = 150
_DOCUMENT = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
_ACCEPTS = {
    "style": "text/css,*/*;q=0.1",
    "script": "*/*",
    "image": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
}
# What is told of a browser to trustworthy origins only.
_TRUSTED_ONLY = ("sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform")
_UPGRADE_NAMES = ("Accept-Encoding", "Accept-Language")
_PLACED = {"User-Agent", "Accept-Encoding", "Accept-Language", *_TRUSTED_ONLY}


def browser_headers() -> dict[str, str]:
    """What one Chromium on Windows says of itself on every call: for Plan.headers."""
    return {
        "User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{CHROMIUM}.0.0.0 Safari/537.36",
        "sec-ch-ua": f'"Not;A=Brand";v="8", "Chromium";v="{CHROMIUM}", "Google Chrome";v="{CHROMIUM}"',
        "sec-ch-ua-mobile": "?0",
        "sec-ch-ua-platform": '"Windows"',
        "Accept-Encoding": "gzip, deflate, br, zstd",
        "Accept-Language": "zh-CN,zh;q=0.9",
    }


def is_trustworthy(url: str) -> bool:
    """Whether a browser gives pages of this origin its cryptography, and the origin what it says of itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Heads:
    """Heads for one origin; `told` is what every call says of the browser (browser_headers)."""

    def __init__(self, url: str, told: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        default_port = {"http": 80, "https": 443}[parts.scheme]
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        self.host = f"{host}" if parts.port in (None, default_port) else f"{host}:{parts.port}"
        self.origin = f"{parts.scheme}://{self.host}"
        self._told = dict(told)
        self._trusted = is_trustworthy(url)
        self._platform = self._if_trusted("sec-ch-ua-platform")
        self._browser = self._line("User-Agent") + self._if_trusted("sec-ch-ua")
        self._mobile = self._if_trusted("sec-ch-ua-mobile")
        self._others = "".join(f"{name}: {value}\r\n" for name, value in told.items() if name not in _PLACED)
        self._last = "".join(map(self._line, _UPGRADE_NAMES)) + self._others + "\r\n"

    def fetch(self, method: str, path: str, token: str = "", body_bytes: int = 0, *, cached: bool = False) -> bytes:
        """The page's own calls; `cached` for those whose answer the browser may keep (the sealed paper)."""
        length = f"Content-Length: {body_bytes}\r\n" if method == "POST" else ""
        no_cache = "" if cached else "Pragma: no-cache\r\nCache-Control: no-cache\r\n"
        bearer = f"authorization: Bearer {token}\r\n" if token else ""
        json = "content-type: application/json\r\n" if body_bytes else ""
        origin = f"Origin: {self.origin}\r\n" if method == "POST" else ""
        return (
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: keep-alive\r\n{length}{no_cache}"
            f"{self._platform}{bearer}{self._browser}{json}{self._mobile}Accept: */*\r\n{origin}"
            f"{self._fetched('cors', 'empty')}{self._last}"
        ).encode()

    def document(self, path: str, etag: str = "") -> bytes:
        """An address that was typed."""
        seen = f"If-None-Match: {etag}\r\n" if etag else ""
        site = self._fetched("navigate", "document", "none", "Sec-Fetch-User: ?1\r\n")
        return (
            f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: keep-alive\r\n{self._if_trusted('sec-ch-ua')}"
            f"{self._mobile}{self._platform}Upgrade-Insecure-Requests: 1\r\n{self._line('User-Agent')}"
            f"Accept: {_DOCUMENT}\r\n{site}{self._line('Accept-Encoding')}{self._line('Accept-Language')}"
            f"{self._others}{seen}\r\n"
        ).encode()

    def part(self, path: str, destination: str, etag: str = "") -> bytes:
        """What a document names: `style`, `script` (a module), `image`."""
        module = destination == "script"
        origin = f"Origin: {self.origin}\r\n" if module else ""
        seen = f"If-None-Match: {etag}\r\n" if etag else ""
        return (
            f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: keep-alive\r\n{origin}{self._platform}{seen}"
            f"{self._browser}{self._mobile}Accept: {_ACCEPTS[destination]}\r\n"
            f"{self._fetched('cors' if module else 'no-cors', destination)}{self._last}"
        ).encode()

    def service_worker(self, path: str, etag: str = "") -> bytes:
        """The script of a service worker, whether it is new; browsers say little of themselves there."""
        seen = f"If-None-Match: {etag}\r\n" if etag else ""
        return (
            f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: keep-alive\r\nCache-Control: max-age=0\r\n"
            f"Accept: */*\r\nService-Worker: script\r\n{self._fetched('same-origin', 'serviceworker')}"
            f"{self._line('User-Agent')}{self._line('Accept-Encoding')}{self._line('Accept-Language')}{self._others}"
            f"{seen}\r\n"
        ).encode()

    def upgrade(self, path: str, nonce: str) -> bytes:
        """The handshake of a WebSocket; `nonce` is 16 random bytes in base64."""
        return (
            f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: Upgrade\r\nPragma: no-cache\r\n"
            f"Cache-Control: no-cache\r\n{self._line('User-Agent')}Upgrade: websocket\r\nOrigin: {self.origin}\r\n"
            f"Sec-WebSocket-Version: 13\r\n{''.join(map(self._line, _UPGRADE_NAMES))}Sec-WebSocket-Key: {nonce}\r\n"
            f"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n{self._others}\r\n"
        ).encode()

    def _fetched(self, mode: str, destination: str, site: str = "same-origin", user: str = "") -> str:
        if not self._trusted:
            return ""
        return f"Sec-Fetch-Site: {site}\r\nSec-Fetch-Mode: {mode}\r\n{user}Sec-Fetch-Dest: {destination}\r\n"

    def _line(self, name: str) -> str:
        return f"{name}: {self._told[name]}\r\n" if name in self._told else ""

    def _if_trusted(self, name: str) -> str:
        return self._line(name) if self._trusted else ""
