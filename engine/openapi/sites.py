"""The calls of sites and of seating, with what they send and answer."""

from __future__ import annotations

from functools import partial

from engine.openapi.building import ID, Schema, answered, choice, many, nullable, ref, sent, text, whole
from engine.openapi.operation import XLSX, Content, Operation, in_path, in_query, json_body, json_reply
from engine.rules.device import TIERS
from engine.rules.limits import (
    ADDRESS_CHARACTERS_MAX,
    PLACE_CHARACTERS_MAX,
    ROOM_MACHINES_MAX,
    ROOM_SPARES_MAX,
    ROSTER_ROWS_MAX,
    SEATING_BODY_BYTES_MAX,
    SEED_CHARACTERS_MAX,
    SEQ_MAX,
    SITE_BODY_BYTES_MAX,
    SITE_ROOMS_MAX,
    SITES_PAGE_DEFAULT,
    SITES_PAGE_MAX,
    TICKET_PREFIX_MAX,
)
from engine.rules.room_lists import TITLES
from engine.rules.seating import REASONS
from engine.rules.sites import NUMBERINGS

_PLACE = text(PLACE_CHARACTERS_MAX, description="As rosters write it")
_COUNT = whole(0, ROSTER_ROWS_MAX)
_LINE = whole(1, ROOM_MACHINES_MAX)
_LAYOUT_MEMBERS: dict[str, Schema] = {
    "rows": {**_LINE, "description": "From front to back"},
    "columns": {**_LINE, "description": "From left to right"},
}
_NUMBERING = choice(
    *NUMBERINGS, default=NUMBERINGS[0], description="Where 02 stands; `snake`: every second line runs back"
)
_ROOM_MEMBERS: dict[str, Schema] = {
    "name": _PLACE,
    "machines": whole(1, ROOM_MACHINES_MAX, description="Numbered seats 01 to NN: the room's capacity"),
    "spares": whole(0, ROOM_SPARES_MAX, description="On top of these: 备用1, 备用2 …"),
}
_ADDRESS = text(ADDRESS_CHARACTERS_MAX, 0)
_TIER = {
    "enum": [*(tier.candidates_max for tier in TIERS), None],
    "description": "Candidates at once that the site's line is built for, as a row of the exam rules' table",
}
_SEED: Schema = {
    "anyOf": [text(SEED_CHARACTERS_MAX), whole(0, SEQ_MAX)],
    "description": "The same content and seed give the same seats; the batch's id when absent",
}
SENT: dict[str, Schema] = {
    "Site": sent({"name": _PLACE, "rooms": many(ref("Room"), 1, SITE_ROOMS_MAX)}, {"address": _ADDRESS, "tier": _TIER}),
    "Room": sent(
        _ROOM_MEMBERS,
        {"layout": nullable({**ref("Layout"), "description": "null: neighbours follow from the numbering alone"})},
    ),
    "Layout": sent(_LAYOUT_MEMBERS, {"numbering": _NUMBERING}),
    "Seating": sent(
        {},
        {
            "seed": _SEED,
            "sites": many(
                sent({"site_id": ID}, {"rooms": many(_PLACE, 1, SITE_ROOMS_MAX, description="All when absent")}),
                1,
                SITES_PAGE_MAX,
                description="What may be filled; when absent, all rooms of the sites that the roster names",
            ),
            "spares_kept": whole(
                0, ROOM_MACHINES_MAX, description="Machines that stay free in each room; when absent, all its spares"
            ),
            "organisations": {
                "type": "object",
                "additionalProperties": text(PLACE_CHARACTERS_MAX),
                "description": "candidate_id -> organisation: neighbours of one are kept apart",
            },
            "ticket_prefix": whole(
                1, TICKET_PREFIX_MAX, description="Else tickets that begin with the same so many characters are one"
            ),
            "reseat": {
                "type": "boolean",
                "default": False,
                "description": "In a draft: seats that earlier calls assigned are opened first",
            },
        },
    ),
}

_PLACED: dict[str, Schema] = {"candidate_id": ID, "site": text(), "room": text(None, 0)}
_SEATING_TOLD: dict[str, Schema] = {
    "assigned": many(answered({**_PLACED, "seat": text()}), description="By site, room and machine"),
    "unassigned": many(
        answered({**_PLACED, "code": choice(*REASONS), "message": text()}), description="Still open, and why"
    ),
    "neighbours": answered(
        dict.fromkeys(("pairs", "same_organisation", "same_paper"), whole(0, SEQ_MAX)),
        description="Over all rooms: pairs of neighbours, and those that could not be kept apart",
    ),
}
# What a roster push that assigns open seats tells beside its counts.
SEATING = answered(_SEATING_TOLD, description="With `seating=1`: as `seatBatch` answers")
SEATS_OPEN = in_query(
    "seating", whole(0, 1, default=0), "1: assign the seats that the push leaves open; after arming, those of additions"
)
ANSWERED: dict[str, Schema] = {
    "StoredSite": answered(
        {
            "site_id": ID,
            "name": text(),
            "address": text(None, 0),
            "tier": {"type": ["integer", "null"]},
            "rooms": many(
                answered(
                    {
                        **_ROOM_MEMBERS,
                        "layout": nullable(answered({**_LAYOUT_MEMBERS, "numbering": choice(*NUMBERINGS)})),
                    }
                )
            ),
            "capacity": {**_COUNT, "maximum": SITE_ROOMS_MAX * ROOM_MACHINES_MAX},
        }
    ),
    "StoredSites": answered({"sites": many(ref("StoredSite")), "next": nullable(ID)}),
    "SiteRemoved": answered({"site_id": ID, "removed": {"const": True}}),
    "Seated": answered(
        {
            "batch_id": ID,
            "seed": {"type": ["string", "integer"]},
            "dry_run": {"type": "boolean"},
            "open": {**_COUNT, "description": "Seats that were open before"},
            **_SEATING_TOLD,
            "rooms": many(
                answered(
                    {
                        "site": text(),
                        "room": text(),
                        "machines": _COUNT,
                        "spares": _COUNT,
                        "taken": {**_COUNT, "description": "Before, by candidates of other batches too"},
                        "assigned": _COUNT,
                        "free": _COUNT,
                        "neighbours": {**_COUNT, "maximum": SEQ_MAX, "description": "Pairs with one of this batch"},
                        "same_organisation": {**_COUNT, "maximum": SEQ_MAX},
                        "same_paper": {**_COUNT, "maximum": SEQ_MAX},
                    }
                )
            ),
            "warnings": many(
                answered({"code": text(), "message": text(), "site": text()}, {"room": text()}),
                description="What is odd about where the batch sits, given seats included; refuses nothing",
            ),
        }
    ),
}

_scheduling = partial(Operation, tag="scheduling", caller="schedule")
_SITE_ID = in_path("site_id")
_BATCH_ID = in_path("batch_id")
_DRY_RUN = in_query("dry_run", whole(0, 1, default=0), "1: every check, the same answer, and nothing is changed")

CALLS = (
    _scheduling(
        "GET /v1/sites",
        "listSites",
        "A page of sites, in the order of their ids",
        parameters=(
            in_query("after", {**ID, "pattern": "^[A-Za-z0-9._-]{0,64}$"}, "The `next` of the page before"),
            in_query("limit", whole(1, SITES_PAGE_MAX, default=SITES_PAGE_DEFAULT), "Sites per page"),
        ),
        replies={200: json_reply("StoredSites", "`next` is null at the end")},
        codes=("request.invalid",),
    ),
    _scheduling(
        "PUT /v1/sites/{site_id}",
        "putSite",
        "Push a site with its rooms and machines; the same content again changes nothing",
        parameters=(_SITE_ID, _DRY_RUN),
        sends=json_body("Site", SITE_BODY_BYTES_MAX),
        replies={
            200: json_reply("StoredSite", "The site was there already, the same or in another version"),
            201: json_reply("StoredSite", "A new site"),
        },
        codes=("request.invalid", "site.invalid"),
    ),
    _scheduling(
        "GET /v1/sites/{site_id}",
        "showSite",
        "A site with its rooms and machines",
        parameters=(_SITE_ID,),
        replies={200: json_reply("StoredSite", "The site")},
        codes=("not_found",),
    ),
    _scheduling(
        "DELETE /v1/sites/{site_id}",
        "removeSite",
        "Take a site away; rosters and seats that name it stay as they are",
        parameters=(_SITE_ID,),
        replies={200: json_reply("SiteRemoved", "It is gone")},
        codes=("not_found",),
    ),
    _scheduling(
        "POST /v1/batches/{batch_id}/seating",
        "seatBatch",
        "Assign the seats that the roster leaves open; what it gave stays",
        parameters=(_BATCH_ID, _DRY_RUN),
        sends=json_body("Seating", SEATING_BODY_BYTES_MAX, is_optional=True),
        replies={200: json_reply("Seated", "Who got which seat, who got none and why")},
        codes=("request.invalid", "not_found", "batch.armed"),
    ),
    _scheduling(
        "GET /v1/batches/{batch_id}/lists/{list}",
        "showRoomLists",
        "Door list, seat labels or sign-in sheet of a room, of a site's rooms, or of all, to be printed",
        parameters=(
            _BATCH_ID,
            in_path("list", choice(*TITLES)),
            in_query("site", text(PLACE_CHARACTERS_MAX), "As the roster has it; all sites when absent"),
            in_query(
                "room", text(PLACE_CHARACTERS_MAX), "As the roster has it, with its `site`; all rooms when absent"
            ),
            in_query("format", choice("html", "xlsx", default="html"), "A page for A4, or a workbook"),
        ),
        replies={
            200: Content(
                {"text/html": {"type": "string"}, XLSX: {}},
                "Sheets by room, after one of who has no seat yet; only the sign-in sheet has whole ID numbers",
            )
        },
        codes=("request.invalid", "not_found"),
    ),
)
