"""An integrator's toolbox: everything here goes over HTTP and knows only the written contract.

`Outsider` speaks for the machine clients, `Sitting` for one candidate. Digests, signatures and the opening of sealed
papers are computed here a second time, so that the tests do not ask the engine whether the engine is right.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import random
import time
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any, TypeVar

import httpx2
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

T = TypeVar("T")
NOTHING: Any = object()
# Random, so that the suite can run twice against one engine that keeps its data.
_RUN = f"{random.SystemRandom().getrandbits(40):x}"
_numbers = itertools.count(1)
_people = itertools.count(random.SystemRandom().randrange(10**7))
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


# --- names nobody else uses ------------------------------------------------------------------------------------
def unique(prefix: str) -> str:
    """An id of the pusher's own."""
    return f"{prefix}-{_RUN}-{next(_numbers)}"


def next_number() -> int:
    """A number nobody else in the run has."""
    return next(_numbers)


def unique_code() -> str:
    """An admission code no other batch has."""
    return f"C{_RUN.upper()}X{next(_numbers)}"


def check_character(body: str) -> str:
    """ISO 7064 MOD 11-2, from the standard's table of weights."""
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True)) % 11]


def resident_17() -> str:
    """The first 17 digits of a resident number nobody else in the run has; born in the 1900s."""
    number = next(_people)
    number, sequence = divmod(number, 999)
    number, day = divmod(number, 28)
    number, month = divmod(number, 12)
    number, year = divmod(number, 60)
    region = (11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45)[number % 20]
    return f"{region}9999{1940 + year}{month + 1:02d}{day + 1:02d}{sequence + 1:03d}"


def resident(check: str | None = None) -> str:
    """A valid 18-character number; with `check` one that ends in it."""
    while True:
        body = resident_17()
        if check is None or check_character(body) == check:
            return body + check_character(body)


def person(**members: Any) -> dict[str, Any]:
    """One row of a roster, valid and unlike every other."""
    number = next(_numbers)
    row = {
        "candidate_id": f"K{_RUN}{number:06d}",
        "name": "张三",
        "id_number": resident(),
        "admission_ticket": f"2026{number:08d}",
        "site": f"第{number}考点",
        "room": "101",
        "seat": "01",
    }
    row.update(members)
    return {name: value for name, value in row.items() if value is not NOTHING}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def sleep_until(instant_ms: int) -> None:
    """Until the clock shows `instant_ms`; engine and tests share one clock."""
    while (left_ms := instant_ms - now_ms()) > 0:
        time.sleep(left_ms / 1000)


def poll(promise: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """The first true value of `promise()`."""
    until = time.monotonic() + timeout_s
    while True:
        found = promise()
        if found:
            return found
        assert time.monotonic() < until, f"not within {timeout_s} s: {what}"
        time.sleep(0.05)


def unhurried(play: Callable[[int], T], scales: Iterable[int]) -> T:
    """Play a timed exam; on a machine too busy for its pace once more, slower. What fails at every pace is a fault."""
    *quick, slowest = scales
    for scale in quick:
        try:
            return play(scale)
        except AssertionError:
            continue
    return play(slowest)


# --- documents -------------------------------------------------------------------------------------------------
PNG = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63fcffff3f0300050201"
        "4d0b6a3c0000000049454e44ae426082"
    )
).decode()


def single(item_id: str = "A1", **members: Any) -> dict[str, Any]:
    options = [{"id": "a", "text": "甲"}, {"id": "b", "text": "乙"}, {"id": "c", "text": "丙"}]
    return {"id": item_id, "type": "single", "stem": "选一", "options": options, "answer": "b", "points": 1, **members}


def multiple(item_id: str = "B1", **members: Any) -> dict[str, Any]:
    options = [{"id": name, "text": f"选项 {name}"} for name in "abcd"]
    item = {"id": item_id, "type": "multiple", "stem": "多选", "options": options, "answer": ["a", "c"], "points": 2}
    return {**item, **members}


def true_false(item_id: str = "C1", **members: Any) -> dict[str, Any]:
    return {"id": item_id, "type": "true_false", "stem": "判断", "answer": True, "points": 0.5, **members}


def fill(item_id: str = "D1", **members: Any) -> dict[str, Any]:
    answer = [["八小时", "8小时", "8"]]
    return {"id": item_id, "type": "fill", "stem": "每日____", "answer": answer, "points": 1, **members}


def numeric(item_id: str = "E1", **members: Any) -> dict[str, Any]:
    item = {"id": item_id, "type": "numeric", "stem": "月计薪天数", "answer": 21.75, "tolerance": 0.01, "points": 2}
    return {**item, **members}


def text(item_id: str = "F1", **members: Any) -> dict[str, Any]:
    return {"id": item_id, "type": "text", "stem": "简述", "points": 10, **members}


def paper(*items: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A paper of one section; without items one of each type."""
    chosen = list(items) or [single(), multiple(), true_false(), fill(), numeric(), text()]
    return {"title": "试卷", "sections": [{"id": "S1", "title": "第一部分", "items": chosen}], **members}


# --- what the contract lets anyone compute ---------------------------------------------------------------------
def digest(document: Any) -> str:
    """Hex SHA-256 of the RFC 8785 form."""
    return hashlib.sha256(rfc8785.dumps(document)).hexdigest()


def responses_digest(rows: Iterable[tuple[str, int, Any]]) -> str:
    """A receipt's digest, from what was sent."""
    return digest([list(row) for row in sorted(rows, key=lambda row: row[0])])


def from_base64url(encoded: str) -> bytes:
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))


def signed_by(document: dict[str, Any], keys: list[dict[str, Any]]) -> list[str]:
    """The ids of the published keys whose signature `document` carries."""
    unsigned = rfc8785.dumps({name: value for name, value in document.items() if name != "signature"})
    found = []
    for key in keys:
        try:
            public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key["public_key"], validate=True))
            public.verify(from_base64url(document["signature"]), unsigned)
        except InvalidSignature:
            continue
        found.append(key["key_id"])
    return found


def published_score(raw: Fraction, full: Fraction) -> Decimal:
    """raw / total x 100, once half up to two decimals; from the fraction itself."""
    share = raw / full * 100
    hundredths = (share * 100 + Fraction(1, 2)).__floor__()
    return (Decimal(hundredths) / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)


# --- answers ---------------------------------------------------------------------------------------------------
def exact(answer: httpx2.Response) -> Any:
    """The body with its numbers as they were written."""
    return json.loads(answer.content, parse_float=Decimal)


def refused(answer: httpx2.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem, after checking that it is one, with this status and code."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text[:600]}"
    assert answer.headers["content-type"].partition(";")[0] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= problem.keys(), problem
    assert problem["status"] == status
    if code is not None:
        assert problem["code"] == code, problem
    return problem


def accepted(answer: httpx2.Response, status: int = 200) -> Any:
    assert answer.status_code == status, f"{answer.status_code} {answer.text[:600]}"
    return answer.json() if answer.content else None


def pointers(problem: dict[str, Any]) -> list[str]:
    """Where the listed faults are; each must say what was expected."""
    for fault in problem["errors"]:
        assert fault["message"] and "value" in fault, fault
    return sorted(fault["pointer"] for fault in problem["errors"])


# --- clients ---------------------------------------------------------------------------------------------------
class Outsider:
    """Machine clients of one engine, all scopes."""

    def __init__(self, url: str, keys: dict[str, str]) -> None:
        self.url = url
        self.keys = keys
        self.http = httpx2.Client(base_url=url, trust_env=False, timeout=30)

    def call(
        self, method: str, path: str, *, scope: str | None = None, bearer: str | None = None, **options: Any
    ) -> httpx2.Response:
        """One request; `scope` picks an API key, `bearer` is any credential."""
        headers: dict[str, Any] = dict(options.pop("headers", {}))
        credential = self.keys[scope] if scope else bearer
        if credential is not None:
            headers["authorization"] = f"Bearer {credential}".encode()
        if "json" in options:
            options["content"] = json.dumps(options.pop("json"), ensure_ascii=False).encode()
            headers.setdefault("content-type", "application/json")
        return self.http.request(method, path, headers=headers, **options)

    def put_paper(self, document: Any, paper_id: str | None = None) -> httpx2.Response:
        return self.call("PUT", f"/v1/papers/{paper_id or unique('P')}", scope="schedule", json=document)

    def paper(self, document: Any = None) -> str:
        paper_id = unique("P")
        accepted(self.put_paper(document or paper(), paper_id), 201)
        return paper_id

    def batch_document(self, paper_id: str, /, **members: Any) -> dict[str, Any]:
        """A batch that has just started and lasts ten minutes, with rules scaled down."""
        rules = {"latest_entry_s": 300, "earliest_submit_s": 0, "warn_before_end_s": 60, **members.pop("rules", {})}
        document = {
            "title": "批次",
            "occupation": "劳动关系协调师",
            "level": 3,
            "subject": "theory",
            "kind": "formal",
            "paper_id": paper_id,
            "admission_code": unique_code(),
            "starts_ms": now_ms() - 200,
            "duration_s": 600,
            "rules": {name: value for name, value in rules.items() if value is not NOTHING},
            **members,
        }
        return {name: value for name, value in document.items() if value is not NOTHING}

    def put_batch(self, document: Any, batch_id: str | None = None) -> httpx2.Response:
        return self.call("PUT", f"/v1/batches/{batch_id or unique('B')}", scope="schedule", json=document)

    def batch(self, document: Any = None) -> str:
        batch_id = unique("B")
        accepted(self.put_batch(document or self.batch_document(self.paper()), batch_id), 201)
        return batch_id

    def put_site(self, document: Any, site_id: str | None = None) -> httpx2.Response:
        return self.call("PUT", f"/v1/sites/{site_id or unique('S')}", scope="schedule", json=document)

    def site(self, name: str | None = None, **rooms: Any) -> str:
        """A site with `rooms` by name: how many machines, or the room's members; by default one of 30."""
        entries = [
            {"name": room, "spares": 2, **(members if isinstance(members, dict) else {"machines": members})}
            for room, members in (rooms or {"101": 30}).items()
        ]
        site_id = unique("S")
        accepted(self.put_site({"name": name or f"考点 {site_id}", "rooms": entries}, site_id), 201)
        return site_id

    def seat(self, batch_id: str, *, dry_run: bool = False, **members: Any) -> httpx2.Response:
        query = {"dry_run": 1} if dry_run else {}
        return self.call("POST", f"/v1/batches/{batch_id}/seating", scope="schedule", params=query, json=members)

    def put_roster(self, batch_id: str, rows: Any) -> httpx2.Response:
        return self.call("PUT", f"/v1/batches/{batch_id}/roster", scope="schedule", json=rows)

    def put_roster_lines(self, batch_id: str, lines: Iterable[str]) -> httpx2.Response:
        return self.call(
            "PUT",
            f"/v1/batches/{batch_id}/roster",
            scope="schedule",
            content="\n".join(lines).encode(),
            headers={"content-type": "application/x-ndjson"},
        )

    def arm(self, batch_id: str, **members: Any) -> httpx2.Response:
        body = {"witnesses": ["王五", "赵六"], **members}
        return self.call("POST", f"/v1/batches/{batch_id}/arm", scope="schedule", json=body)

    def show_batch(self, batch_id: str) -> Any:
        return accepted(self.call("GET", f"/v1/batches/{batch_id}", scope="schedule"))

    def exam(self, *items: dict[str, Any], rows: Any = 1, document: Any = None, **members: Any) -> Exam:
        """An armed exam: `rows` people or that many; `members` go into the batch."""
        paper_id = members.pop("paper_id", None) or self.paper(document or paper(*items))
        roster = [person() for _ in range(rows)] if isinstance(rows, int) else rows
        pushed = self.batch_document(paper_id, **members)
        batch_id = self.batch(pushed)
        accepted(self.put_roster(batch_id, roster))
        accepted(self.arm(batch_id))
        return Exam(self, batch_id, pushed, roster)

    def log_in(self, code: Any, id_number: Any) -> httpx2.Response:
        return self.call("POST", "/v1/login", json={"admission_code": code, "id_number": id_number})

    def results(self, batch_id: str, **query: Any) -> Any:
        return exact(self.results_answer(batch_id, **query))

    def results_answer(self, batch_id: str, **query: Any) -> httpx2.Response:
        answer = self.call("GET", f"/v1/batches/{batch_id}/results", scope="results", params=query)
        accepted(answer)
        return answer

    def all_results(self, batch_id: str, count: int, timeout_s: float = 15) -> list[dict[str, Any]]:
        """Every result of the batch once there are `count`."""

        def found() -> Any:
            shown = self.results(batch_id, limit=1000)["results"]
            return shown if len(shown) >= count else None

        return poll(found, timeout_s, f"{count} results of {batch_id}") if count else []

    def responses(self, sitting_id: str) -> Any:
        return exact(self.call("GET", f"/v1/sittings/{sitting_id}/responses", scope="results"))["responses"]

    def history(self, sitting_id: str) -> list[dict[str, Any]]:
        answer = self.call("GET", f"/v1/sittings/{sitting_id}/history", scope="results")
        return list(accepted(answer)["history"])

    def public_keys(self) -> list[dict[str, Any]]:
        return list(accepted(self.call("GET", "/v1/keys"))["keys"])


class Exam:
    """An armed batch and its people."""

    def __init__(self, outsider: Outsider, batch_id: str, document: dict[str, Any], roster: list[dict[str, Any]]):
        self.outsider = outsider
        self.batch_id = batch_id
        self.document = document
        self.roster = roster
        self.code = document["admission_code"]
        self.starts_ms = document["starts_ms"]
        self.ends_ms = self.starts_ms + document["duration_s"] * 1000
        self.closes_ms = self.ends_ms + document["rules"].get("grace_s", 5) * 1000

    def log_in(self, index: int = 0) -> httpx2.Response:
        return self.outsider.log_in(self.code, self.roster[index]["id_number"])

    def arrive(self, index: int = 0) -> Sitting:
        """Logged in."""
        return Sitting(self.outsider, accepted(self.log_in(index)))

    def enter(self, index: int = 0) -> Sitting:
        """Logged in, confirmed and pledged."""
        sitting = self.arrive(index)
        accepted(sitting.confirm())
        accepted(sitting.pledge())
        return sitting


class Sitting:
    """One candidate at one machine."""

    def __init__(self, outsider: Outsider, login: dict[str, Any]) -> None:
        self.outsider = outsider
        self.login = login
        self.token = login["token"]
        self.sitting_id = login["sitting_id"]

    def call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        return self.outsider.call(method, path, bearer=self.token, **options)

    def confirm(self, body: Any = None) -> httpx2.Response:
        return self.call("POST", "/v1/sitting/confirm", json={"accepted": True} if body is None else body)

    def pledge(self, body: Any = None) -> httpx2.Response:
        return self.call("POST", "/v1/sitting/pledge", json={"accepted": True} if body is None else body)

    def show(self) -> httpx2.Response:
        return self.call("GET", "/v1/sitting")

    def key(self) -> httpx2.Response:
        return self.call("GET", "/v1/sitting/paper-key")

    def save(self, *changes: tuple[Any, Any, Any]) -> httpx2.Response:
        named = [{"item": item, "seq": seq, "value": value} for item, seq, value in changes]
        return self.call("POST", "/v1/sitting/responses", json={"changes": named})

    def save_raw(self, body: bytes) -> httpx2.Response:
        headers = {"content-type": "application/json"}
        return self.call("POST", "/v1/sitting/responses", content=body, headers=headers)

    def save_value(self, item: str, seq: int, raw: str) -> httpx2.Response:
        """A value as raw JSON text."""
        return self.save_raw(b'{"changes":[{"item":"%s","seq":%d,"value":%s}]}' % (item.encode(), seq, raw.encode()))

    def submit(self, seq: Any = 0) -> httpx2.Response:
        return self.call("POST", "/v1/sitting/submit", json={"seq": seq})

    def receipt(self) -> httpx2.Response:
        return self.call("GET", "/v1/sitting/receipt")

    def stored(self) -> dict[str, Any]:
        """{item: (seq, value)} as the server tells it."""
        shown = accepted(self.show())["responses"]
        return {item: (entry["seq"], entry["value"]) for item, entry in shown.items()}
