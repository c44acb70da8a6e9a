"""The calls of the photo check, with what they send and answer."""

from __future__ import annotations

from functools import partial

from engine.openapi.building import (
    ID,
    INSTANT_MS,
    SEQ,
    Schema,
    answered,
    choice,
    hex_digest,
    many,
    nullable,
    sent,
    text,
    whole,
)
from engine.openapi.operation import CANDIDATE, Content, Operation, in_path, in_query, json_body, json_reply
from engine.rules.limits import (
    NAME_CHARACTERS_MAX,
    PHOTO_BYTES_MAX,
    PHOTO_HEIGHT_PX_MIN,
    PHOTO_SIDE_PX_MAX,
    PHOTO_WIDTH_PX_MIN,
    PHOTOS_PAGE_DEFAULT,
    PHOTOS_PAGE_MAX,
    PHOTOS_PER_SITTING_MAX,
    PLACE_CHARACTERS_MAX,
    REASON_CHARACTERS_MAX,
)
from engine.rules.photo import PHOTOS, PhotoState
from engine.rules.terms import SittingState

_JPEG = "image/jpeg"
STATE: Schema = choice(
    *PhotoState,
    description="Of the photo: `none` is asked for; it is `due`; `owed`: PostgreSQL was away, send it again; "
    "`taken`; a proctor has `waived`, `accepted` or `refused` it. Only `due` keeps the paper key back",
)
_NUMBER = whole(1, PHOTOS_PER_SITTING_MAX, description="Of the sitting's photos, in the order of their arrival")
_DIGEST = hex_digest("the JPEG")
_ACT: Schema = answered(
    {
        "act": choice(PhotoState.ACCEPTED, PhotoState.REFUSED, PhotoState.WAIVED),
        "proctor": text(),
        "reason": nullable(text()),
        "acted_ms": INSTANT_MS,
    }
)
_PHOTO: Schema = answered(
    {"number": _NUMBER, "digest": _DIGEST, "bytes": whole(1, PHOTO_BYTES_MAX), "taken_ms": INSTANT_MS}
)
_SITTING: Schema = answered(
    {
        "sitting_id": ID,
        **{name: {"type": "string"} for name in ("admission_ticket", "name", "site", "room", "seat")},
        "sitting_state": choice(*SittingState),
        "state": STATE,
        "photo": nullable(_PHOTO),
        "act": nullable(_ACT),
    }
)
ANSWERED: dict[str, Schema] = {
    "PhotoTaken": answered(
        {"photo": STATE, "digest": _DIGEST, "taken_ms": INSTANT_MS, "server_ms": INSTANT_MS},
        {"retry_after_s": {**SEQ, "description": "With 202: when to send the same picture again"}},
    ),
    "Photos": answered(
        {
            "rule": choice(*PHOTOS),
            "photos": many(_SITTING, 0, PHOTOS_PAGE_MAX),
            "next": nullable({**ID, "description": "For `after`, when there may be more"}),
        }
    ),
    "PhotoAct": answered({"sitting_id": ID, "state": STATE, "act": _ACT}),
}

_PROCTOR = text(NAME_CHARACTERS_MAX, description="Who acts")
_REASON = text(REASON_CHARACTERS_MAX)
SENT: dict[str, Schema] = {
    "PhotoCheck": sent(
        {"proctor": _PROCTOR, "accepted": {"type": "boolean", "description": "Whether it shows the candidate"}},
        {
            "reason": _REASON,
            "digest": text(64, description="Of the photo that was looked at; another one since is 409"),
        },
    ),
    "PhotoWaiver": sent({"proctor": _PROCTOR, "reason": _REASON}),
}

_invigilation = partial(Operation, tag="invigilation", caller="proctor")
_SITTING_ID = in_path("sitting_id")
_PLACE: Schema = {"type": "string", "maxLength": PLACE_CHARACTERS_MAX}
CALLS = (
    Operation(
        "POST /v1/sitting/photo",
        "takePhoto",
        "The candidate's photo, between the pledge and the end; sent again, and taken again, as often as need be",
        tag="candidate",
        caller=CANDIDATE,
        sends=Content(
            {_JPEG: {}},
            f"One whole JPEG, {PHOTO_WIDTH_PX_MIN}x{PHOTO_HEIGHT_PX_MIN} pixels or more, no side over "
            f"{PHOTO_SIDE_PX_MAX}",
            bytes_max=PHOTO_BYTES_MAX,
        ),
        replies={
            200: json_reply("PhotoTaken", "It is stored; so are the ones before it"),
            202: json_reply(
                "PhotoTaken", "It is owed: the exam is open all the same, and it is to be sent again later"
            ),
        },
        codes=(
            "photo.file_format",
            "photo.invalid",
            "photo.not_required",
            "photo.too_many",
            "photo.closed",
            "sitting.order",
            "rate.limited",
        ),
    ),
    _invigilation(
        "GET /v1/batches/{batch_id}/photos",
        "listPhotos",
        "A batch's or a room's sittings with the state of their photos, in the order of their ids",
        parameters=(
            in_path("batch_id"),
            in_query("site", _PLACE, "Only this site"),
            in_query("room", _PLACE, "Only this room"),
            in_query(
                "state",
                choice(*(state for state in PhotoState if state not in (PhotoState.NONE, PhotoState.OWED))),
                "Only these; those owed are among those due",
            ),
            in_query("after", ID, "The `next` of the page before"),
            in_query("limit", whole(1, PHOTOS_PAGE_MAX, default=PHOTOS_PAGE_DEFAULT), "Sittings per page"),
        ),
        replies={200: json_reply("Photos", "Without the pictures themselves")},
        codes=("request.invalid", "not_found"),
    ),
    _invigilation(
        "GET /v1/sittings/{sitting_id}/photo",
        "showPhoto",
        "A sitting's newest photo, or an earlier one",
        parameters=(_SITTING_ID, in_query("number", _NUMBER, "Which one; the newest without")),
        replies={200: Content({_JPEG: {}}, "As it was taken", {"Cache-Control": "no-store", "ETag": "Its digest"})},
        codes=("request.invalid", "not_found"),
    ),
    _invigilation(
        "POST /v1/sittings/{sitting_id}/photo/check",
        "checkPhoto",
        "Accept or refuse the newest photo; the same again changes nothing, another decision is added",
        parameters=(_SITTING_ID,),
        sends=json_body("PhotoCheck"),
        replies={200: json_reply("PhotoAct", "What holds now")},
        codes=("request.invalid", "not_found", "photo.changed", "photo.not_required", "batch.not_ready"),
    ),
    _invigilation(
        "POST /v1/sittings/{sitting_id}/photo/waive",
        "waivePhoto",
        "Let a candidate in without a photo; who waits at that step goes on by itself",
        parameters=(_SITTING_ID,),
        sends=json_body("PhotoWaiver"),
        replies={200: json_reply("PhotoAct", "What holds now")},
        codes=("request.invalid", "not_found", "photo.not_required", "sitting.order", "batch.not_ready"),
    ),
)
