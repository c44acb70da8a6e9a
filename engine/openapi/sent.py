"""What clients send. The readers in `rules/` and beside the handlers check by hand, and more than a schema can say."""

from __future__ import annotations

from engine.openapi import assessing, devices, photos, regrades, score_reviews, sites, statistics, webhooks
from engine.openapi.building import (
    ID,
    INSTANT_MS,
    SEQ,
    VALUE,
    Schema,
    base64url,
    choice,
    hex_digest,
    many,
    matching,
    number,
    ref,
    sent,
    text,
    whole,
)
from engine.rules.batch import (
    KINDS,
    MOCK_CHECK_IN_BEFORE_S,
    RELEASES,
    REVIEW_ASSESSORS,
    SUBJECTS,
    TAKEOVERS,
)
from engine.rules.limits import (
    ACCEPTED_MAX,
    ADMISSION_CODE_PATTERN,
    ASSESSORS_MAX,
    BLANKS_MAX,
    CHANGES_PER_CALL_MAX,
    DURATION_S_MAX,
    EXTRA_TIME_S_MAX,
    FILL_CHARACTERS_MAX,
    FORMS_MAX,
    ITEMS_MAX,
    MEDIA_MAX,
    NAME_CHARACTERS_MAX,
    NUMERIC_DIGITS_MAX,
    OPTIONS_MAX,
    PEOPLE_MAX,
    PEOPLE_MIN,
    PLACE_CHARACTERS_MAX,
    PLAIN_TEXT_CHARACTERS_MAX,
    POINTS_DECIMALS_MAX,
    POINTS_MAX,
    REASON_CHARACTERS_MAX,
    ROSTER_ROWS_MAX,
    RULE_S_MAX,
    RULE_WORKDAYS_MAX,
    SECTIONS_MAX,
    SEQ_MAX,
    SHARES_MAX,
    TEXT_CHARACTERS_MAX,
    TITLE_CHARACTERS_MAX,
    TYPED_CHARACTERS_MAX,
)
from engine.rules.marking import FOLD_DEFAULT, FOLDS, MARKINGS
from engine.rules.media import MEDIUM_NAME_PATTERN
from engine.rules.photo import PHOTOS
from engine.rules.terms import Rules

_RULES = Rules()

# --- candidates ------------------------------------------------------------------------------------------------
_ACCEPTED = sent({"accepted": {"type": "boolean", "description": "Anything but true is refused with 409"}})
_CHANGE = sent(
    {"item": ID, "seq": SEQ, "value": VALUE},
    description=f"A text answer has at most {TEXT_CHARACTERS_MAX} characters, a number at most {NUMERIC_DIGITS_MAX} "
    "significant digits",
)
_LOGIN = sent(
    {
        "admission_code": text(TYPED_CHARACTERS_MAX, description="Width, case and spaces do not matter"),
        "id_number": text(TYPED_CHARACTERS_MAX, description="As on the document; width, case and spaces do not matter"),
    }
)
_SUBMIT = sent({"seq": whole(0, SEQ_MAX, description="The highest seq ever sent; 0 when nothing was answered")})

# --- papers ----------------------------------------------------------------------------------------------------
_TITLE = text(TITLE_CHARACTERS_MAX)
_PLAIN_TEXT = text(
    PLAIN_TEXT_CHARACTERS_MAX, description="Plain text with line breaks and images `![alt](name)` of `media`; not blank"
)
_POINTS = number(0, POINTS_MAX, description=f"At most {POINTS_DECIMALS_MAX} decimals; the paper's sum is above 0")
_OPTIONS = many(ref("Option"), 2, OPTIONS_MAX)
_FIXED: Schema = {"type": "boolean", "default": False}
_EXACT = {"type": "number", "description": f"At most {NUMERIC_DIGITS_MAX} significant digits"}
_BLANK = many(text(FILL_CHARACTERS_MAX), 1, ACCEPTED_MAX, description="Every accepted spelling of one blank")


def _item(kind: str, members: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    common: dict[str, Schema] = {"id": ID, "type": {"const": kind}, "stem": _PLAIN_TEXT, "points": _POINTS}
    place = "Keeps its place when items are shuffled: in its section, or in a group that shuffles its items"
    return sent({**common, **members}, {**(optional or {}), "fixed": {**_FIXED, "description": place}})


_ITEMS = {
    "single": _item("single", {"options": _OPTIONS, "answer": ID}),
    "multiple": _item(
        "multiple",
        {"options": _OPTIONS, "answer": many(ID, 1, OPTIONS_MAX, uniqueItems=True)},
        {"marking": choice(*MARKINGS, default="exact")},
    ),
    "true_false": _item("true_false", {"answer": {"type": "boolean"}}),
    "fill": _item(
        "fill",
        {"answer": many(_BLANK, 1, BLANKS_MAX)},
        {"fold": many(choice(*FOLDS), 0, len(FOLDS), uniqueItems=True, default=list(FOLD_DEFAULT))},
    ),
    "numeric": _item("numeric", {"answer": _EXACT}, {"tolerance": {**_EXACT, "minimum": 0, "default": 0}}),
    "text": _item("text", {}),
}
_ITEM_NAMES = {kind: f"Item{kind.title().replace('_', '')}" for kind in _ITEMS}
_ITEM: Schema = {
    "oneOf": [ref(name) for name in _ITEM_NAMES.values()],
    "discriminator": {
        "propertyName": "type",
        "mapping": {kind: ref(name)["$ref"] for kind, name in _ITEM_NAMES.items()},
    },
}
_MEDIA: Schema = {
    "type": "object",
    "description": "Images by name, in strict base64 (RFC 4648, section 4): PNG, JPEG, GIF, WebP, or SVG without code",
    "maxProperties": MEDIA_MAX,
    "propertyNames": matching(MEDIUM_NAME_PATTERN),
    "additionalProperties": {"type": "string", "contentEncoding": "base64"},
}
_PAPER = sent(
    {"title": _TITLE, "sections": many(ref("Section"), 1, SECTIONS_MAX)},
    {"media": _MEDIA},
    description=f"Ids of sections are unique in the paper, and so are those of items and groups; at most {ITEMS_MAX} "
    "items in all",
)
_SECTION = sent(
    {"id": ID, "title": _TITLE, "items": many(ref("Item"), 1, ITEMS_MAX)},
    {"groups": many(ref("Group"), 0, ITEMS_MAX, description="Items with a shared stem; an item is in one at most")},
)
_GROUP = sent(
    {
        "id": ID,
        "stem": _PLAIN_TEXT,
        "items": many(
            ID, 1, ITEMS_MAX, uniqueItems=True, description="Ids of items that follow one another in the section"
        ),
    },
    {
        "shuffle": {"type": "boolean", "default": False, "description": "Its items are shuffled among themselves"},
        "fixed": {**_FIXED, "description": "Keeps its place among the section's groups and single items"},
    },
    description="Shown with the shared stem, always together. Unless it shuffles them, its items stay in their order, "
    "and none may be `fixed` by itself",
)

# --- batches and rosters ---------------------------------------------------------------------------------------
BATCH_MEMBERS: dict[str, Schema] = {
    "title": _TITLE,
    "occupation": _TITLE,
    "level": whole(1, 5),
    "subject": choice(*SUBJECTS),
    "kind": choice(*KINDS),
    "admission_code": matching(
        ADMISSION_CODE_PATTERN, description="As it will be typed at login, where width and case do not matter"
    ),
    "starts_ms": INSTANT_MS,
    "duration_s": whole(1, DURATION_S_MAX),
}
EITHER_PAPER: list[Schema] = [{"required": ["paper_id"]}, {"required": ["papers"]}]
PAPER_MEMBERS: dict[str, Schema] = {
    "paper_id": {**ID, "description": "A paper that has been pushed"},
    "papers": many(
        ID,
        1,
        FORMS_MAX,
        uniqueItems=True,
        description="Several papers instead of one: the batch's forms, each sealed under a key of its own. At arming "
        "every sitting is given one by its seat, so that neighbours differ; who has entered keeps it",
    ),
}


def _seconds(default: int, description: str) -> Schema:
    return whole(0, RULE_S_MAX, default=default, description=description)


RULE_MEMBERS: dict[str, Schema] = {
    "latest_entry_s": _seconds(_RULES.latest_entry_s, "After the start: who has not entered by then is absent"),
    "earliest_submit_s": _seconds(_RULES.earliest_submit_s, "After the start; less than `duration_s`"),
    "warn_before_end_s": _seconds(_RULES.warn_before_end_s, "Before the end"),
    "check_in_before_s": _seconds(
        _RULES.check_in_before_s, f"Before the start; a mock's default is {MOCK_CHECK_IN_BEFORE_S}"
    ),
    "grace_s": _seconds(_RULES.grace_s, "After the end: what was under way still counts"),
    "pass_mark": number(0, 100, default=int(_RULES.pass_mark), description="At most two decimals"),
    "shuffle_items": {"type": "boolean", "default": _RULES.shuffle_items},
    "shuffle_options": {"type": "boolean", "default": _RULES.shuffle_options},
    "release": choice(*RELEASES, default=_RULES.release),
    "takeover": choice(*TAKEOVERS, default=_RULES.takeover),
    "allow_copy": {
        "type": "boolean",
        "default": _RULES.allow_copy,
        "description": "Whether the paper may be copied and printed, and text from outside pasted; own text always may",
    },
    "assessors": whole(
        0,
        ASSESSORS_MAX,
        default=_RULES.assessors,
        description="Who score whole sittings from 0 to 100, in place of the paper; a `review`'s default is "
        f"{REVIEW_ASSESSORS}, `theory` has none",
    ),
    "second_marking": {
        "type": "boolean",
        "default": _RULES.second_marking,
        "description": "What one assessor marks, a second marks as well, and a third where the two disagree",
    },
    "second_marking_tolerance": number(
        0,
        1,
        default=float(_RULES.second_marking_tolerance),
        description="Share of the points beyond which two marks disagree; at most four decimals",
    ),
    "publication_days": whole(
        0,
        RULE_WORKDAYS_MAX,
        default=_RULES.publication_days,
        description="Working days from the day after the release: until then a score review may be filed",
    ),
    "review_answer_days": whole(
        0, RULE_WORKDAYS_MAX, default=_RULES.review_answer_days, description="Working days until it is to be answered"
    ),
    "photo": choice(
        *PHOTOS, default=_RULES.photo, description="`required`: no paper key before a photo, or its waiver"
    ),
}
_CANDIDATE = sent(
    {
        "name": text(description=f"At most {NAME_CHARACTERS_MAX} characters once folded"),
        "id_number": text(description="The ID document's number; a resident's has a check digit"),
        "admission_ticket": text(description="1 to 64 of A-Z a-z 0-9 . _ - once width and spaces are folded"),
        "site": text(description=f"At most {PLACE_CHARACTERS_MAX} characters once folded"),
    },
    {
        "candidate_id": {**ID, "description": "The admission ticket when absent"},
        "room": text(None, 0, description="May be empty until arming"),
        "seat": text(None, 0, description="Two or more digits with their zeros, or 备用 and a number; or as `room`"),
        "extra_time_s": whole(0, EXTRA_TIME_S_MAX, default=0),
    },
)
_ROSTER = many(
    ref("Candidate"), 0, ROSTER_ROWS_MAX, description="The whole roster; `[]` empties it, and only that of a draft"
)

_PERSON = text(description=f"A name of at most {NAME_CHARACTERS_MAX} characters")
_PEOPLE = many(_PERSON, PEOPLE_MIN, PEOPLE_MAX, uniqueItems=True, description="Different people")
_SHARE = sent(
    {
        "sealed_digest": hex_digest("the sealed paper"),
        "split_id": text(description="Which split of the key"),
        "k": whole(2, SHARES_MAX),
        "n": whole(2, SHARES_MAX),
        "index": whole(1, SHARES_MAX),
        "share": base64url(32),
    }
)
_ARM = sent(
    {"witnesses": _PEOPLE},
    {"shares": many(ref("Share"), description="Of a package's key, opened; `./run paper arm` does it")},
)
_DISARM = sent({"approved_by": _PEOPLE, "reason": text(REASON_CHARACTERS_MAX)})
_RELEASE = sent({"approved_by": _PEOPLE})

# A message of the channel: one JSON object in a text message.
_CHANNEL_SENT: Schema = {
    "description": "Candidate to engine: `hello` first, then saves",
    "oneOf": [
        sent({"type": {"const": "hello"}, "token": text(description="Of the login")}),
        sent({"type": {"const": "save"}, "changes": many(ref("Change"), 1, CHANGES_PER_CALL_MAX)}),
    ],
}

SCHEMAS: dict[str, Schema] = {
    "Accepted": _ACCEPTED,
    "Login": _LOGIN,
    "SaveCall": sent({"changes": many(ref("Change"), 1, CHANGES_PER_CALL_MAX)}),
    "Change": _CHANGE,
    "ChannelSent": _CHANNEL_SENT,
    "Submit": _SUBMIT,
    "Paper": _PAPER,
    "Section": _SECTION,
    "Group": _GROUP,
    "Item": _ITEM,
    **{_ITEM_NAMES[kind]: schema for kind, schema in _ITEMS.items()},
    "Option": sent(
        {"id": ID, "text": _PLAIN_TEXT},
        {"fixed": {**_FIXED, "description": 'Keeps its place when options are shuffled, as an "all of these" does'}},
    ),
    "Batch": sent(BATCH_MEMBERS, {**PAPER_MEMBERS, "rules": ref("Rules")}, oneOf=EITHER_PAPER),
    "Rules": sent({}, RULE_MEMBERS),
    "Candidate": _CANDIDATE,
    "Roster": _ROSTER,
    "Arm": _ARM,
    "Share": _SHARE,
    "Disarm": _DISARM,
    "Release": _RELEASE,
    **assessing.SENT,
    **statistics.SENT,
    **photos.SENT,
    **devices.SENT,
    **regrades.SENT,
    **score_reviews.SENT,
    **webhooks.SENT,
    **sites.SENT,
}
