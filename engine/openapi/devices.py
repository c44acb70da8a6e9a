"""The calls of a device check, with what they send and answer."""

from __future__ import annotations

from functools import partial

from engine.openapi.building import (
    ID,
    INSTANT_MS,
    Schema,
    answered,
    choice,
    many,
    matching,
    nullable,
    ref,
    sent,
    text,
    whole,
)
from engine.openapi.operation import (
    CANDIDATE,
    OCTETS,
    PUBLIC,
    Content,
    Operation,
    in_path,
    in_query,
    json_body,
    json_reply,
)
from engine.rules.acceptance import MANAGEMENT_SEAT, Role
from engine.rules.device import CAMERA_FAULTS, CHECKS, SYSTEMS, Verdict
from engine.rules.limits import (
    DEVICE_BODY_BYTES_MAX,
    PLACE_CHARACTERS_MAX,
    PROBE_BYTES_MAX,
    ROSTER_ROWS_MAX,
    SEQ_MAX,
    TITLE_CHARACTERS_MAX,
    USER_AGENT_CHARACTERS_MAX,
)
from engine.rules.measured import (
    BROWSER_NAMES,
    FLAGS,
    NO_FAULT,
    PERHAPS_NUMBERS,
    SYSTEM_VERSION_PATTERN,
    WHOLE_NUMBERS,
)

# --- what is sent ----------------------------------------------------------------------------------------------
_SAID = {
    "clock_ms": "This machine's clock less the server's",
    "screen_width_px": "Of the screen itself, whatever its scaling",
    "layout_width_px": "Of the page, after scaling and zoom",
    "memory_mib": "null: the browser does not tell",
    "hash_mib_per_s": "SHA-256 by WebCrypto, the best of several runs",
    "took_ms": "From the first check to the last",
}


def _said(name: str, schema: Schema) -> Schema:
    return {**schema, "description": _SAID[name]} if name in _SAID else schema


_MEASURED_MEMBERS: dict[str, Schema] = {
    "browser": choice(*BROWSER_NAMES),
    "system": choice(*SYSTEMS),
    "system_version": matching(SYSTEM_VERSION_PATTERN),
    "user_agent": text(USER_AGENT_CHARACTERS_MAX, 0),
    "camera_fault": choice(NO_FAULT, *CAMERA_FAULTS, description="Empty when the camera gave a picture"),
    **{name: _said(name, whole(*bounds)) for name, bounds in WHOLE_NUMBERS.items()},
    **{name: nullable(_said(name, whole(*bounds))) for name, bounds in PERHAPS_NUMBERS.items()},
    **{name: {"type": "boolean"} for name in FLAGS},
}
SENT: dict[str, Schema] = {"Measured": sent(_MEASURED_MEMBERS)}

# --- what is answered ------------------------------------------------------------------------------------------
_VERDICT = choice(*Verdict, description="`unknown`: the browser does not tell, a person has to look")
_CHECK = choice(*CHECKS)
_COUNT = whole(0, ROSTER_ROWS_MAX)
_MBIT_S = whole(0, SEQ_MAX)
_LINE: dict[str, Schema] = {
    "site": text(),
    "room": text(None, 0),
    "candidates": {**_COUNT, "description": "Of the batch at this site at once, spares not counted"},
    "tier": answered({"candidates_max": _COUNT, "up_mbit_s": _MBIT_S, "down_mbit_s": _MBIT_S}),
    "share": answered({"up_kbit_s": _MBIT_S, "down_kbit_s": _MBIT_S}, description="One machine's part of the tier"),
}
_FINDING = answered(
    {
        "name": _CHECK,
        "verdict": _VERDICT,
        "reason": text(None, 0, description="What is amiss, for a sentence of what to do; empty when nothing is"),
        "required": text(None, 0, description="The same in every language"),
        "measured": text(None, 0, description="Empty where the verdict says it all"),
    }
)
_FINDINGS = many(ref("DeviceFinding"), 1, len(CHECKS))
_JUDGED: dict[str, Schema] = {"verdict": _VERDICT, "findings": _FINDINGS}
_ITEM = answered(
    {
        "name": _CHECK,
        "verdict": _VERDICT,
        "required": text(None, 0),
        "worst": answered({"seat": text(None, 0), "verdict": _VERDICT, "measured": text(None, 0)}),
        "median": text(None, 0, description="What the machine in the middle measured"),
        "counts": answered(dict.fromkeys([verdict.value for verdict in Verdict], _COUNT)),
    }
)
_ROLE_COUNT = answered(
    {
        "role": choice(*Role),
        "required": _COUNT,
        "found": {**_COUNT, "description": "Seats of the roster"},
        "checked": _COUNT,
        "passed": {**_COUNT, "description": "Checked, and nothing failed"},
        "verdict": _VERDICT,
    }
)
ANSWERED: dict[str, Schema] = {
    "Probed": answered({"bytes": whole(0, PROBE_BYTES_MAX), "server_ms": INSTANT_MS}),
    "DeviceFinding": _FINDING,
    "DeviceJudged": answered(_JUDGED),
    "DeviceChecked": answered({**_LINE, "seat": text(None, 0), "checked_ms": INSTANT_MS, **_JUDGED}),
    "Machine": answered(
        {
            "seat": text(None, 0, description=f"`{MANAGEMENT_SEAT}`: the room's management machine"),
            "role": choice(*Role),
            "verdict": nullable({**_VERDICT, "description": "null: not checked yet"}),
            "checked_ms": nullable(INSTANT_MS),
            "checks": {**_COUNT, "maximum": SEQ_MAX, "description": "How often it was checked"},
            "failing": many(_CHECK, 0, len(CHECKS), description="Not as it should be, worst first"),
            "findings": many(ref("DeviceFinding"), 0, len(CHECKS)),
        }
    ),
    "RoomDevices": answered(
        {
            "batch_id": ID,
            "title": text(TITLE_CHARACTERS_MAX),
            "kind": text(),
            **_LINE,
            "machines": many(ref("Machine"), 1, description="By role and seat"),
            "acceptance": answered(
                {
                    "verdict": _VERDICT,
                    "counts": many(_ROLE_COUNT, len(Role), len(Role)),
                    "items": many(_ITEM, 0, len(CHECKS), description="None before the first check"),
                },
                description="The figures of the room's acceptance form",
            ),
            "server_ms": INSTANT_MS,
        }
    ),
}

# --- the calls -------------------------------------------------------------------------------------------------
_candidate = partial(Operation, tag="candidate", caller=CANDIDATE)
_proctor = partial(Operation, tag="invigilation", caller="proctor")

_BATCH_ID = in_path("batch_id")
_BYTES: Schema = {
    "name": "bytes",
    "in": "query",
    "required": True,
    "description": "How many",
    "schema": whole(0, PROBE_BYTES_MAX),
}


def _place(name: str) -> Schema:
    named = in_query(name, text(PLACE_CHARACTERS_MAX), "As the roster has it")
    return {**named, "required": True, "allowEmptyValue": False}


_PLACE = (_place("site"), _place("room"))
_NOISE = {200: Content({OCTETS: {}}, "So many bytes that cannot be compressed", {"Cache-Control": "no-store"})}
_UP = Content({OCTETS: {}}, "Any bytes, or none", bytes_max=PROBE_BYTES_MAX, is_optional=True)
_PROBED = {200: json_reply("Probed", "How many came, and the server's time")}
_ONLY_IN_A_CHECK = ("device.not_a_check", "device.closed")

CALLS = (
    _candidate(
        "GET /v1/sitting/probe",
        "probeDown",
        "Bytes to measure a machine's line with, during its device check",
        parameters=(_BYTES,),
        replies=_NOISE,
        codes=("request.invalid", "rate.limited", *_ONLY_IN_A_CHECK),
    ),
    _candidate(
        "POST /v1/sitting/probe",
        "probeUp",
        "The same in the other direction; empty, it measures a round trip and the clock",
        sends=_UP,
        replies=_PROBED,
        codes=("rate.limited", *_ONLY_IN_A_CHECK),
    ),
    _candidate(
        "POST /v1/sitting/device",
        "checkDevice",
        "What was measured on this machine: judged, and kept as its newest check",
        sends=json_body("Measured", DEVICE_BODY_BYTES_MAX),
        replies={200: json_reply("DeviceChecked", "The verdicts")},
        codes=("device.invalid", "not_found", "rate.limited", *_ONLY_IN_A_CHECK),
    ),
    Operation(
        "POST /v1/device",
        "lookAtDevice",
        "The same for a look, without a login: judged, and kept nowhere; rates have nothing to be compared with",
        tag="candidate",
        caller=PUBLIC,
        stores=False,
        sends=json_body("Measured", DEVICE_BODY_BYTES_MAX),
        replies={200: json_reply("DeviceJudged", "The verdicts")},
        codes=("device.invalid",),
    ),
    _proctor(
        "GET /v1/batches/{batch_id}/devices",
        "showRoomDevices",
        "All machines of a room with their newest checks, and its acceptance form",
        parameters=(_BATCH_ID, *_PLACE),
        replies={200: json_reply("RoomDevices", "Of a device check its own results; else the newest of each machine")},
        codes=("request.invalid", "not_found"),
    ),
    _proctor(
        "POST /v1/batches/{batch_id}/devices",
        "checkManagementDevice",
        "The check of a room's management machine, which has no seat on the roster",
        parameters=(_BATCH_ID, *_PLACE),
        sends=json_body("Measured", DEVICE_BODY_BYTES_MAX),
        replies={200: json_reply("DeviceChecked", "The verdicts")},
        codes=("request.invalid", "device.invalid", "not_found", "rate.limited"),
    ),
    _proctor(
        "GET /v1/batches/{batch_id}/devices/probe",
        "probeManagementDown",
        "As `probeDown`, for the management machine",
        parameters=(_BATCH_ID, _BYTES),
        replies=_NOISE,
        codes=("request.invalid", "not_found", "rate.limited"),
    ),
    _proctor(
        "POST /v1/batches/{batch_id}/devices/probe",
        "probeManagementUp",
        "As `probeUp`, for the management machine",
        parameters=(_BATCH_ID,),
        sends=_UP,
        replies=_PROBED,
        codes=("not_found", "rate.limited"),
    ),
)
