"""`schema/openapi.json` is valid, is what the engine generates and serves, and describes the engine there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from engine import openapi
from engine.app import HOT_PATH, routes
from engine.openapi import answered, codes_of, sent
from engine.openapi.operations import OPERATIONS
from engine.rules.errors import CODES
from engine.stores.api_keys import SCOPES
from loadtest import samples
from tests.contract import outsider as contract
from tests.contract.description import closed, faults
from tests.contract.outsider import Outsider, accepted

FILE = Path(__file__).resolve().parents[2] / "schema" / "openapi.json"
# Said once for all paths, in `components.responses`; and known to the recorder and the grader only.
ELSEWHERE = {"method.not_allowed", "corrupt"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi.document()


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object schema within `schema`, itself included."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


def test_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert [str(fault) for fault in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_file_is_the_generated_document(document: dict[str, Any]) -> None:
    """`./run openapi --write` brings it up to date."""
    assert FILE.read_text("utf-8") == json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def test_engine_serves_the_document(outsider: Outsider, document: dict[str, Any]) -> None:
    assert accepted(outsider.call("GET", "/openapi.json")) == json.loads(json.dumps(document))


def test_document_has_every_route_and_no_other(document: dict[str, Any]) -> None:
    """HEAD comes with GET and is not spelled out."""
    served = {
        (method, route.path.replace(":path}", "}"))
        for route in routes()
        for method in route.methods or ()
        if method != "HEAD"
    }
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}

    assert described == served | {("POST", HOT_PATH)}


def test_every_error_code_is_documented_where_it_occurs(document: dict[str, Any]) -> None:
    described = {code for operation in OPERATIONS for code in codes_of(operation)}

    assert described == set(CODES) - ELSEWHERE
    assert document["components"]["schemas"]["Code"]["enum"] == list(CODES)


def test_every_refusal_stands_under_the_status_of_its_code(document: dict[str, Any]) -> None:
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, reply in operation["responses"].items():
                problem = reply.get("content", {}).get("application/problem+json")
                if problem is not None:
                    codes = problem["schema"]["allOf"][1]["properties"]["code"]["enum"]
                    assert {str(CODES[code][0]) for code in codes} == {status}, operation["operationId"]


def test_operations_are_named_once_and_say_who_may_call_them(document: dict[str, Any]) -> None:
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    ids = [operation["operationId"] for operation in operations]
    roles = {role for operation in operations for scheme in operation["security"] for role in scheme.get("apiKey", [])}

    assert len(ids) == len(set(ids))
    assert roles <= set(SCOPES)
    assert all(operation["summary"] and operation["tags"] for operation in operations)


def test_what_is_sent_is_closed_and_what_is_answered_is_open() -> None:
    """An unknown member of a body is refused; an answer may grow."""
    closed = [schema for schema in objects(sent.SCHEMAS) if "properties" in schema]
    opened = [schema for schema in objects(answered.SCHEMAS) if "properties" in schema]

    assert closed and all(schema["additionalProperties"] is False for schema in closed)
    assert opened and not any("additionalProperties" in schema for schema in opened)


@pytest.mark.parametrize("name", ["ldgx3", "aixl4"])
def test_samples_fit_their_schemas(document: dict[str, Any], name: str) -> None:
    """What the demo and the rehearsal push is what the description asks for."""
    sample = samples.load(name)
    batch = {**sample.batch, "starts_ms": 0}
    for schema, body in (("Paper", sample.paper), ("Batch", batch), ("Roster", sample.roster)):
        assert faults(document, schema, body) == []


def test_data_of_refusals_are_documented(outsider: Outsider, document: dict[str, Any]) -> None:
    """What a problem carries for programs, beyond the members every problem has."""
    paper_id = outsider.paper()
    early = outsider.exam(paper_id=paper_id, starts_ms=contract.now_ms() + 600_000, rules={"earliest_submit_s": 60})
    sitting, draft = early.enter(), outsider.batch()
    twice = json.dumps(contract.person())
    problems = [
        contract.refused(sitting.key(), 425, "paper_key.too_early"),
        contract.refused(sitting.save(("A1", 1, "a")), 409, "autosave.not_open"),
        contract.refused(sitting.submit(0), 409, "submit.too_early"),
        contract.refused(sitting.receipt(), 409, "sitting.order"),
        contract.refused(sitting.save_raw(b"{}"), 422, "autosave.invalid"),
        contract.refused(sitting.save_raw(b" " * 2**20), 413, "request.too_large"),
        contract.refused(outsider.call("GET", "/v1/results", scope="schedule"), 403, "auth.scope"),
        contract.refused(outsider.put_paper(contract.paper(contract.single()), paper_id), 409, "paper.in_use"),
        contract.refused(outsider.put_batch({**early.document, "level": 1}, early.batch_id), 409, "batch.armed"),
        contract.refused(outsider.put_roster(early.batch_id, [contract.person()]), 409, "batch.armed"),
        contract.refused(outsider.put_roster(draft, [{"name": 1}, {"more": 1}]), 422, "roster.invalid"),
        contract.refused(outsider.put_roster_lines(draft, [twice, twice, "{", "{}"]), 422, "roster.invalid"),
        contract.refused(outsider.put_roster(draft, "no roster"), 415, "roster.file_format"),
        contract.refused(outsider.arm(draft), 409, "batch.not_ready"),
    ]

    for problem in problems:
        assert faults(closed(document), "Problem", problem) == [], problem
