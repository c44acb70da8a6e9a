"""The calls of proctors and of candidates' pages beside the exam; what is sent and answered in them."""

from __future__ import annotations

from functools import partial

from engine.openapi.building import ID, INSTANT_MS, Schema, answered, choice, many, nullable, ref, sent, text, whole
from engine.openapi.operation import CANDIDATE, Operation, in_path, in_query, json_body, json_reply
from engine.openapi.sent import BATCH_MEMBERS, RULE_MEMBERS
from engine.rules.limits import (
    DURATION_S_MAX,
    EVENTS_BODY_BYTES_MAX,
    EVENTS_PAGE_DEFAULT,
    EVENTS_PAGE_MAX,
    EVENTS_PER_CALL_MAX,
    EVENTS_PER_SITTING_MAX,
    EXTRA_TIME_S_MAX,
    INSTANT_MS_MAX,
    ITEMS_MAX,
    NAME_CHARACTERS_MAX,
    PLACE_CHARACTERS_MAX,
    REASON_CHARACTERS_MAX,
    ROSTER_ROWS_MAX,
    SEATS_MAX,
    SEQ_MAX,
    TAKEOVER_ALLOWED_S,
)
from engine.rules.terms import REPORTED_EVENTS, SittingState

_AWAY_MS_MAX = (DURATION_S_MAX + EXTRA_TIME_S_MAX) * 1000

_BATCH_ID = in_path("batch_id")
_proctor = partial(Operation, tag="invigilation", caller="proctor")


def _place(name: str, description: str, is_required: bool) -> Schema:
    schema: Schema = {"type": "string", "maxLength": PLACE_CHARACTERS_MAX}
    return {"name": name, "in": "query", "required": is_required, "description": description, "schema": schema}


INVIGILATION_CALLS = (
    Operation(
        "POST /v1/sitting/events",
        "reportEvents",
        "What the candidate's page noticed, such as that its window was left; safe to send again",
        tag="candidate",
        caller=CANDIDATE,
        sends=json_body("EventsCall", EVENTS_BODY_BYTES_MAX),
        replies={200: json_reply("EventsRecorded", "How many of them are on record now")},
        codes=("request.invalid", "events.not_open", "sitting.order", "rate.limited"),
    ),
    _proctor(
        "GET /v1/invigilation",
        "listInvigilated",
        "Armed batches that start in [from_ms, to_ms): by default within a day of now",
        parameters=(
            in_query("from_ms", whole(0, INSTANT_MS_MAX), "Unix milliseconds"),
            in_query("to_ms", whole(0, INSTANT_MS_MAX), "Unix milliseconds"),
        ),
        replies={200: json_reply("InvigilatedBatches", "In the order of their starts")},
        codes=("request.invalid",),
    ),
    _proctor(
        "GET /v1/batches/{batch_id}/rooms",
        "listRooms",
        "The rooms of a batch, each with how many of its sittings stand where",
        parameters=(_BATCH_ID,),
        replies={200: json_reply("Rooms", "By site and room")},
        codes=("not_found",),
    ),
    _proctor(
        "GET /v1/batches/{batch_id}/seats",
        "listSeats",
        "Every seat of a room: who sits there, how far they are, whether their machine lives",
        parameters=(
            _BATCH_ID,
            _place("site", "As the roster has it", True),
            _place("room", "As the roster has it; may be empty", True),
        ),
        replies={200: json_reply("Seats", "By seat, all of one moment")},
        codes=("request.invalid", "not_found"),
    ),
    _proctor(
        "GET /v1/batches/{batch_id}/events",
        "followEvents",
        "What happened in a batch, or in one of its rooms, in the order in which it was recorded",
        parameters=(
            _BATCH_ID,
            in_query("after", whole(0, 2**63 - 1, default=0), "The `next` of the page before"),
            in_query("limit", whole(1, EVENTS_PAGE_MAX, default=EVENTS_PAGE_DEFAULT), "Events per page"),
            _place("site", "Only of this site and `room`", False),
            _place("room", "Only of this room of `site`", False),
        ),
        replies={200: json_reply("EventsPage", "`next` is always there, for the next look")},
        codes=("request.invalid", "not_found"),
    ),
    _proctor(
        "POST /v1/sittings/{sitting_id}/takeover",
        "allowTakeover",
        f"Let the next login take the sitting over, once, within {TAKEOVER_ALLOWED_S} s; again it begins anew",
        parameters=(in_path("sitting_id"),),
        sends=json_body("Act", is_optional=True),
        replies={200: json_reply("TakeoverAllowed", "On record, and in force until `until_ms`")},
        codes=("request.invalid", "not_found", "batch.not_ready", "takeover.closed"),
    ),
)

# --- what is sent ----------------------------------------------------------------------------------------------
ACT_MEMBERS: dict[str, Schema] = {
    "proctor": text(NAME_CHARACTERS_MAX, description="Who acts"),
    "reason": text(REASON_CHARACTERS_MAX, description="Why"),
}
SENT: dict[str, Schema] = {
    "Act": sent({}, ACT_MEMBERS, description="On record; so is the API key of the call"),
    "EventsCall": sent({"events": many(ref("ReportedEvent"), 1, EVENTS_PER_CALL_MAX)}),
    "ReportedEvent": sent(
        {
            "id": {**ID, "description": "The page's own, so that sending it again records nothing twice"},
            "kind": choice(*REPORTED_EVENTS),
            "at_ms": {
                **INSTANT_MS,
                "description": "By the server's time. What lies not between the start and the end or the hand-in is "
                f"not recorded, nor what goes beyond {EVENTS_PER_SITTING_MAX} events of a sitting",
            },
        },
        {"away_ms": whole(0, _AWAY_MS_MAX, description="Of a return: how long the window had been left")},
    ),
}

# --- what is answered ------------------------------------------------------------------------------------------
_COUNT = whole(0, ROSTER_ROWS_MAX)
_BATCH = {
    "batch_id": ID,
    **{name: BATCH_MEMBERS[name] for name in ("title", "occupation", "level", "subject", "kind", "starts_ms")},
    "ends_ms": {**INSTANT_MS, "description": "Without anybody's extra time"},
    "takeover": RULE_MEMBERS["takeover"],
    "photo": RULE_MEMBERS["photo"],
}
_PLACE: Schema = {"type": "string"}
_SPAN_MS = whole(0, SEQ_MAX)
ANSWERED: dict[str, Schema] = {
    "EventsRecorded": answered({"recorded": whole(0, EVENTS_PER_CALL_MAX)}),
    "InvigilatedBatches": answered(
        {
            "server_ms": INSTANT_MS,
            "batches": many(answered({**_BATCH, "sittings": _COUNT, "rooms": _COUNT})),
        }
    ),
    "InvigilatedBatch": answered(_BATCH),
    "Rooms": answered(
        {
            "server_ms": INSTANT_MS,
            "batch": ref("InvigilatedBatch"),
            "rooms": many(
                answered(
                    {
                        "site": _PLACE,
                        "room": _PLACE,
                        "sittings": _COUNT,
                        "counts": answered(dict.fromkeys(map(str, SittingState), _COUNT)),
                    }
                )
            ),
        }
    ),
    "Seats": answered(
        {
            "server_ms": INSTANT_MS,
            "batch": ref("InvigilatedBatch"),
            "items": nullable(whole(1, ITEMS_MAX, description="Of the paper")),
            "seats": many(ref("Seat"), 0, SEATS_MAX),
            "is_complete": {"type": "boolean", "description": f"False when the room has more than {SEATS_MAX} seats"},
        }
    ),
    "Seat": answered(
        {
            "sitting_id": ID,
            "candidate_id": ID,
            "name": text(),
            "admission_ticket": text(),
            "seat": _PLACE,
            "state": choice(*SittingState),
            "extra_time_s": whole(0, SEQ_MAX),
            "ends_ms": {**INSTANT_MS, "description": "With all time given"},
            "is_live": {"type": "boolean", "description": "False: as recorded, for the memory store does not tell"},
            "seen_ms": nullable({**INSTANT_MS, "description": "The last sign of life of the candidate's page"}),
            "answered": nullable(whole(0, ITEMS_MAX, description="Items with a response that is not cleared")),
            "asked_ms": nullable(
                {**INSTANT_MS, "description": "When a login was refused with `login.elsewhere`, and none let in since"}
            ),
            "takeover_until_ms": nullable({**INSTANT_MS, "description": "Until when the next login takes it over"}),
            "left": whole(0, SEQ_MAX, description="How often the window was left"),
            "away_ms": {**_SPAN_MS, "description": "How long in all, as far as it was returned to"},
            "is_away": {"type": "boolean", "description": "Left, and not yet returned to"},
        }
    ),
    "EventsPage": answered(
        {
            "events": many(ref("RoomEvent"), 0, EVENTS_PAGE_MAX),
            "next": {"type": "string", "pattern": "^[0-9]+$"},
        }
    ),
    "RoomEvent": answered(
        {
            "sitting_id": ID,
            "kind": text(
                description="`window_left`, `window_returned`, or a proctor's act: `takeover_allowed`, `photo_waived` …"
            ),
            "at_ms": INSTANT_MS,
            "recorded_ms": INSTANT_MS,
            "away_ms": nullable(_SPAN_MS),
            "proctor": nullable(text()),
            "reason": nullable(text()),
            "key_id": nullable(text(description="Of an act: the API key of its call")),
        }
    ),
    "TakeoverAllowed": answered(
        {
            "sitting_id": ID,
            "takeover": RULE_MEMBERS["takeover"],
            "until_ms": nullable(
                {
                    **INSTANT_MS,
                    "description": "null when nothing needed allowing: the rule is `free`, or nobody has logged in",
                }
            ),
        }
    ),
}
