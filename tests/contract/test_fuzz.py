"""The API fuzzed from its own description: every operation, with data that fit the schema and data that do not.

The engine is real and runs its course: what is generated meets an armed exam, drafts and a graded batch. Positive data
are made real in half of the cases (ids that exist, a paper that holds together), so that they get past the reader.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from engine import openapi
from engine.openapi.operation import CANDIDATE, CSV, NDJSON, PUBLIC, XLSX, Operation
from engine.openapi.operations import OPERATIONS
from engine.rules.errors import CODES
from engine.rules.limits import DURATION_S_MAX
from engine.tables.refusal import XLS
from tests.contract import outsider as contract
from tests.contract.description import closed
from tests.contract.outsider import Exam, Outsider

EXAMPLES = 10  # per operation, beside the boundary cases that the schemas define by themselves
CONFIG = {
    "seed": 20260301,
    "generation": {
        "deterministic": True,
        "max-examples": EXAMPLES,
        "database": "none",
        "no-shrink": True,
        # What a query says beyond what is known is ignored, not refused.
        "allow-extra-parameters": False,
    },
    "phases": {"stateful": {"enabled": False}},
    "checks": {
        # 413: a generated body may be too large before it is anything else. 425: asked before the start.
        "negative_data_rejection": {"expected-statuses": [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 425, 429]},
        # 503 `try_later` is documented; `check_failures_are_ours` takes no other.
        "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "503"]},
    },
}
EXCLUDED = [
    # What fits the schema need not be acceptable: ids must exist, a paper must hold together, a window lie ahead, an ID
    # number have its check digit, and texts hold no NUL.
    positive_data_acceptance,
]


@schemathesis.serializer(NDJSON, CSV, XLSX, XLS, "image/jpeg")
def lines(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


# --- what generated calls meet ---------------------------------------------------------------------------------
class Stage:
    """Everything the operations speak of, in one engine; each candidate operation has a sitting of its own."""

    def __init__(self, outsider: Outsider) -> None:
        self.outsider = outsider
        self.session = requests.Session()
        self.session.trust_env = False
        self.exam = outsider.exam(rows=9)
        self.graded = _graded(outsider)
        confirming, pledging, *entered = (self.exam.arrive(person) for person in range(8))
        contract.accepted(pledging.confirm())
        for sitting in entered:
            contract.accepted(sitting.confirm())
            contract.accepted(sitting.pledge())
        showing, opening, saving, submitting, reporting, submitted = entered
        contract.accepted(submitted.save(("A1", 1, "a")))
        contract.accepted(submitted.submit(1))
        machine = outsider.exam(kind="device_check").arrive()
        self.tokens = {
            "probeDown": machine.token,
            "probeUp": machine.token,
            "checkDevice": machine.token,
            "confirm": confirming.token,
            "pledge": pledging.token,
            "showSitting": showing.token,
            "showPaperKey": opening.token,
            "saveResponses": saving.token,
            "submit": submitting.token,
            "reportEvents": reporting.token,
            "showReceipt": submitted.token,
        }
        photographed = outsider.exam(rules={"photo": "required"})
        photographing = photographed.enter()
        self.tokens["takePhoto"] = photographing.token
        ready = outsider.batch()
        contract.accepted(outsider.put_roster(ready, [contract.person()]))
        self.ids = {
            "putPaper": outsider.paper(),
            "putBatch": outsider.batch(),
            "putRoster": outsider.batch(),
            "armBatch": ready,
            "releaseBatch": self.graded.batch_id,
            "listBatchResults": self.graded.batch_id,
            "listPhotos": photographed.batch_id,
            **dict.fromkeys(("showPhoto", "checkPhoto", "waivePhoto"), photographing.sitting_id),
        }
        change = {"item": "A1", "voided": True}
        regrade = outsider.call(
            "POST",
            f"/v1/batches/{self.graded.batch_id}/regrades",
            scope="results",
            json={"reason": "答案有误", "proposed_by": "王五", "changes": [change]},
        )
        sitting_id = outsider.results(self.graded.batch_id)["results"][0]["sitting_id"]
        review = f"/v1/sittings/{sitting_id}/review"
        contract.accepted(outsider.call("POST", review, scope="results", json={"grounds": ["tally"]}), 201)
        self.batches_of = dict.fromkeys(
            ("listScoreReviews", "proposeRegrade", "listRegrades", "showRegrade", "applyRegrade", "dropRegrade"),
            self.graded.batch_id,
        )
        self.known = {
            "regrade_id": contract.accepted(regrade, 201)["regrade_id"],
            "paper_id": self.ids["putPaper"],
            "batch_id": self.exam.batch_id,
            "sitting_id": outsider.results(self.graded.batch_id)["results"][0]["sitting_id"],
            "site_id": outsider.site(),
            "list": "door",
            "digest": submitted.login["paper"]["digest"],
            "name": "app.js",
        }

    def headers(self, operation: dict[str, Any]) -> dict[str, str]:
        """The credential an operation asks for."""
        for scheme in operation["security"]:
            if "apiKey" in scheme:
                return {"Authorization": f"Bearer {self.outsider.keys[scheme['apiKey'][0]]}"}
            return {"Authorization": f"Bearer {self.tokens[operation['operationId']]}"}
        return {}

    def make_real(self, case: Any) -> None:
        """Ids that exist and bodies that may be taken, where the generated ones fit the schema."""
        operation = case.operation.definition.raw["operationId"]
        if zlib.crc32(repr((case.path_parameters, case.body)).encode()) % 2:
            return
        if not _is_negative(case, ParameterLocation.PATH):
            for name in case.path_parameters or {}:
                if name == "batch_id" and operation in self.batches_of:
                    case.path_parameters[name] = self.batches_of[operation]
                elif name in self.known:
                    case.path_parameters[name] = self.ids.get(operation, self.known[name])
        if operation in REAL_BODIES and not _is_negative(case, ParameterLocation.BODY):
            case.body = REAL_BODIES[operation](self, case.body)


def _is_negative(case: Any, location: ParameterLocation) -> bool:
    return case.meta is None or case.meta.is_negative_at(location)


def _is_wrong_in_what_is_read(case: Any) -> bool:
    """False where only the credential was taken out, which this test puts back, or strange query members were added,
    which nobody reads."""
    if _is_negative(case, ParameterLocation.PATH) or _is_negative(case, ParameterLocation.BODY):
        return True
    known = [given for given in case.operation.definition.raw.get("parameters", []) if given["in"] == "query"]
    return any(given.get("required") or given["name"] in (case.query or {}) for given in known)


def _graded(outsider: Outsider) -> Exam:
    """Over and graded, with a result in every state: graded, waiting for an assessor, absent."""
    exam = outsider.exam(rows=3, duration_s=2, rules={"grace_s": 0})
    graded, waiting = exam.enter(0), exam.enter(1)
    contract.accepted(graded.save(("A1", 1, "b"), ("D1", 2, ["8"]), ("E1", 3, 21.75)))
    contract.accepted(waiting.save(("F1", 1, "三条理由")))
    outsider.all_results(exam.batch_id, 3)
    return exam


def _real_batch(stage: Stage, body: dict[str, Any]) -> dict[str, Any]:
    rules = {name: rule for name, rule in body.get("rules", {}).items() if name != "earliest_submit_s"}
    real = {"paper_id": stage.known["paper_id"], "admission_code": contract.unique_code(), "rules": rules}
    return {**body, **real, "starts_ms": contract.now_ms(), "duration_s": DURATION_S_MAX}


REAL_BODIES: dict[str, Callable[[Stage, Any], Any]] = {
    "logIn": lambda stage, body: {"admission_code": stage.exam.code, "id_number": stage.exam.roster[8]["id_number"]},
    "saveResponses": lambda stage, body: {
        "changes": [{**change, "item": "F1", "value": str(change["value"])} for change in body["changes"]]
    },
    "putPaper": lambda stage, body: contract.paper(title=f"试卷 {len(body['sections'])}"),
    "putBatch": _real_batch,
    "putRoster": lambda stage, body: (
        [contract.person() for _ in body[:3]] if isinstance(body, list) else json.dumps(contract.person())
    ),
}


@pytest.fixture(scope="module")
def stage(outsider: Outsider) -> Stage:
    return Stage(outsider)


def _call(stage: Stage, operation: Operation, credential: str | None) -> Any:
    method, path = operation.call.split()
    for name, value in stage.known.items():
        path = path.replace("{" + name + "}", value)
    return stage.outsider.call(method, path, bearer=credential, json={} if operation.sends else None)


GUARDED = [operation for operation in OPERATIONS if operation.caller != PUBLIC]


@pytest.mark.parametrize("operation", GUARDED, ids=[operation.id for operation in GUARDED])
def test_an_operation_takes_no_credential_but_its_own(stage: Stage, operation: Operation) -> None:
    """None and unknown ones are 401, an API key of another scope is 403, and the credential is asked for first."""
    token = stage.tokens["showSitting"]
    is_candidates = operation.caller == CANDIDATE
    for credential in (
        None,
        "lk_schedule_000000000000_A",
        *(stage.outsider.keys.values() if is_candidates else [token]),
    ):
        contract.refused(_call(stage, operation, credential), 401, "auth.missing")
    for scope, key in stage.outsider.keys.items():
        if not is_candidates and scope != operation.caller:
            contract.refused(_call(stage, operation, key), 403, "auth.scope")


# --- the test -------------------------------------------------------------------------------------------------
def check_failures_are_ours(_: Any, response: Any, case: Any) -> None:
    """Every refusal is a problem with a known code; of the 5xx only 503 `try_later`."""
    if response.status_code < 400:
        return
    assert response.headers["content-type"][0] == "application/problem+json"
    if response.request.method == "HEAD":
        return
    problem = response.json()
    assert CODES[problem["code"]] == (response.status_code, problem["title"])
    assert response.status_code < 500 or problem["code"] == "try_later", problem


@pytest.fixture
def api(request: pytest.FixtureRequest) -> Any:
    # A fixture, because working out every boundary case takes seconds, which only those who run this should pay.
    request.node._nodeid = request.node.nodeid  # schemathesis 4.32 asks for it, pytest 9.2 no longer has it
    return schemathesis.openapi.from_dict(closed(openapi.document()), config=schemathesis.Config.from_dict(CONFIG))


@pytest.mark.slow
@schemathesis.pytest.from_fixture("api").parametrize()
@settings(deadline=None, derandomize=True, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def test_every_operation_keeps_what_its_description_says(case: Any, stage: Stage) -> None:
    """Status, content type, headers and schema are the documented ones, bad data are refused, nothing is a 500."""
    stage.make_real(case)

    case.call_and_validate(
        base_url=stage.outsider.url,
        session=stage.session,
        headers=stage.headers(case.operation.definition.raw),
        additional_checks=[check_failures_are_ours],
        excluded_checks=EXCLUDED if _is_wrong_in_what_is_read(case) else [*EXCLUDED, negative_data_rejection],
        timeout=30,
    )
