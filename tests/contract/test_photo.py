"""The photo check: a batch may ask for one, no paper key before it, a proctor looks at it or waives it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.contract import outsider as out
from tests.contract.line import open_channel
from tests.contract.outsider import Outsider, Sitting, accepted, refused
from tests.pictures import frame, jpeg

_numbers = iter(range(10**6))


def picture(**more: Any) -> bytes:
    """One that was never sent before."""
    return jpeg(comment=f"picture {next(_numbers)}".encode(), **more)


def send(sitting: Sitting, content: bytes, media_type: str = "image/jpeg") -> Any:
    return sitting.call("POST", "/v1/sitting/photo", content=content, headers={"content-type": media_type})


@pytest.fixture(scope="module")
def exam(outsider: Outsider) -> out.Exam:
    """Under way, a photo required."""
    return outsider.exam(rows=20, rules={"photo": "required"})


_people = iter(range(20))


@pytest.fixture
def sitting(exam: out.Exam) -> Sitting:
    return exam.enter(next(_people))


def proctor(outsider: Outsider, sitting: Sitting, act: str, **body: Any) -> Any:
    path = f"/v1/sittings/{sitting.sitting_id}/photo/{act}"
    return outsider.call("POST", path, scope="proctor", json={"proctor": "周监考", **body})


def listed(outsider: Outsider, exam: out.Exam, **query: Any) -> list[dict[str, Any]]:
    path = f"/v1/batches/{exam.batch_id}/photos"
    return list(accepted(outsider.call("GET", path, scope="proctor", params=query))["photos"])


def of(photos: list[dict[str, Any]], sitting: Sitting) -> dict[str, Any]:
    [found] = [each for each in photos if each["sitting_id"] == sitting.sitting_id]
    return found


def shown(sitting: Sitting) -> str:
    return str(accepted(sitting.show())["photo"])


# --- the candidate ---------------------------------------------------------------------------------------------


def test_key_comes_after_the_photo_and_not_before(outsider: Outsider, sitting: Sitting) -> None:
    """The rule and the state come with login and sitting; the same picture again is the same photo."""
    photo = picture()
    assert (sitting.login["photo"], sitting.login["rules"]["photo"], shown(sitting)) == ("due", "required", "due")
    assert "paper_key" not in refused(sitting.key(), 409, "photo.due")
    reply = accepted(send(sitting, photo))
    assert accepted(send(sitting, photo)).items() >= {"photo": "taken", "taken_ms": reply["taken_ms"]}.items()

    assert (reply["photo"], reply["digest"], shown(sitting)) == ("taken", hashlib.sha256(photo).hexdigest(), "taken")
    accepted(sitting.key())
    accepted(sitting.save(("A1", 1, "b")))
    path = f"/v1/sittings/{sitting.sitting_id}/photo"
    answer = outsider.call("GET", path, scope="proctor")
    assert answer.content == photo
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("image/jpeg", "no-store")


async def test_channel_gives_the_key_only_after_the_photo(sitting: Sitting) -> None:
    """Pushed by itself as soon as the photo is there, with a notice before it."""
    async with open_channel(sitting) as line:
        accepted(send(sitting, picture()))

        heard = await line.hear()
        assert heard.get("code") == "photo.taken", heard
        assert await line.hear() == {"type": "paper_key", **accepted(sitting.key())}


def test_photo_is_refused_before_the_pledge(exam: out.Exam) -> None:
    sitting = exam.arrive(next(_people))
    refused(send(sitting, picture()), 409, "sitting.order")
    accepted(sitting.confirm())
    refused(send(sitting, picture()), 409, "sitting.order")
    accepted(sitting.pledge())
    accepted(send(sitting, picture()))


def test_photo_of_an_older_token_is_refused(exam: out.Exam) -> None:
    person = next(_people)
    older = exam.enter(person)
    newer = exam.arrive(person)

    refused(send(older, picture()), 409, "sitting.superseded")
    accepted(send(newer, picture()))


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"x", "image/png", 415, "photo.file_format"),
        (jpeg(), "application/json", 415, "photo.file_format"),
        (b"x" * (40 * 1024 + 1), "image/jpeg", 413, "request.too_large"),
        (b"", "image/jpeg", 422, "photo.invalid"),
        (b"\x89PNG", "image/jpeg", 422, "photo.invalid"),
        (jpeg()[:-9], "image/jpeg", 422, "photo.invalid"),
        (jpeg(160, 120), "image/jpeg", 422, "photo.invalid"),
        (jpeg(header=frame(60_000, 60_000)), "image/jpeg", 422, "photo.invalid"),
    ],
    ids=["png", "json", "too large", "empty", "png as jpeg", "cut off", "too small", "giant"],
)
def test_what_is_no_photo_is_refused_and_changes_nothing(
    shared: Sitting, content: bytes, media_type: str, status: int, code: str
) -> None:
    problem = refused(send(shared, content, media_type), status, code)

    assert "expected" in problem["detail"]
    assert status != 413 or problem["bytes_max"] == 40 * 1024
    assert status != 422 or problem["errors"][0]["message"]
    assert shown(shared) == "due"


@pytest.fixture(scope="module")
def shared(exam: out.Exam) -> Sitting:
    return exam.enter(next(_people))


def test_photo_as_large_as_may_be_is_taken(sitting: Sitting) -> None:
    accepted(send(sitting, jpeg(comment=b"x" * (40 * 1024 - len(jpeg(comment=b"x")) + 1))))


def test_photos_taken_again_are_all_kept_up_to_eight(outsider: Outsider, exam: out.Exam, sitting: Sitting) -> None:
    photos = [picture() for _ in range(8)]
    for photo in photos:
        accepted(send(sitting, photo))

    refused(send(sitting, picture()), 409, "photo.too_many")
    accepted(send(sitting, photos[7]))
    path = f"/v1/sittings/{sitting.sitting_id}/photo"
    kept = [outsider.call("GET", path, scope="proctor", params={"number": n}).content for n in range(1, 9)]
    assert kept == photos
    assert outsider.call("GET", path, scope="proctor").content == photos[7]
    assert of(listed(outsider, exam), sitting)["photo"]["number"] == 8
    refused(outsider.call("GET", path, scope="proctor", params={"number": 9}), 422, "request.invalid")


def test_batch_that_asks_for_none_takes_none(outsider: Outsider) -> None:
    """And is as it ever was."""
    exam = outsider.exam()
    sitting = exam.enter()

    assert (sitting.login["photo"], sitting.login["rules"]["photo"]) == ("none", "none")
    accepted(sitting.key())
    refused(send(sitting, picture()), 409, "photo.not_required")
    refused(proctor(outsider, sitting, "waive", reason="x"), 409, "photo.not_required")
    assert listed(outsider, exam) == []


def test_photo_after_the_hand_in_is_refused(sitting: Sitting) -> None:
    """A hand-in asks for no photo: who has something to hand in had the paper."""
    accepted(sitting.submit(0))

    refused(send(sitting, picture()), 409, "photo.closed")


# --- the proctor -----------------------------------------------------------------------------------------------


async def test_waiver_lets_the_candidate_go_on_at_once(outsider: Outsider, exam: out.Exam, sitting: Sitting) -> None:
    """Over the open channel: notice and key; with who and why on record, and once however often it is sent."""
    refused(proctor(outsider, sitting, "waive"), 422, "request.invalid")
    async with open_channel(sitting) as line:
        first = accepted(proctor(outsider, sitting, "waive", reason="摄像头损坏"))
        assert (await line.hear())["code"] == "photo.waived"
        assert (await line.hear())["type"] == "paper_key"
    again = accepted(proctor(outsider, sitting, "waive", reason="摄像头损坏"))

    assert first == again
    assert first["act"].items() >= {"act": "waived", "proctor": "周监考", "reason": "摄像头损坏"}.items()
    assert (shown(sitting), of(listed(outsider, exam, state="waived"), sitting)["act"]) == ("waived", first["act"])
    accepted(sitting.key())
    accepted(send(sitting, picture()))  # the camera works after all
    assert of(listed(outsider, exam), sitting)["state"] == shown(sitting) == "taken"
    refused(proctor(outsider, sitting, "waive", reason="x"), 409, "sitting.order")


def test_candidate_may_be_waived_before_coming(outsider: Outsider, exam: out.Exam) -> None:
    """A room whose cameras are known to be broken."""
    person = next(_people)
    ticket = exam.roster[person]["admission_ticket"]
    [expected] = [each for each in listed(outsider, exam) if each["admission_ticket"] == ticket]
    path = f"/v1/sittings/{expected['sitting_id']}/photo/waive"
    accepted(outsider.call("POST", path, scope="proctor", json={"proctor": "周监考", "reason": "无摄像头"}))

    sitting = exam.enter(person)

    assert (expected["state"], expected["sitting_state"], sitting.login["photo"]) == ("due", "expected", "waived")
    accepted(sitting.key())


def test_check_says_of_one_photo_that_it_is_right_or_not(outsider: Outsider, exam: out.Exam, sitting: Sitting) -> None:
    """A refused photo closes nothing and may be taken again; an accepted one stands."""
    refused(proctor(outsider, sitting, "check", accepted=True), 404, "not_found")
    first = accepted(send(sitting, picture()))
    refused(proctor(outsider, sitting, "check", accepted=True, digest="0" * 64), 409, "photo.changed")
    said = accepted(proctor(outsider, sitting, "check", accepted=False, reason="看不清", digest=first["digest"]))

    assert (said["state"], said["act"]["reason"], shown(sitting)) == ("refused", "看不清", "refused")
    accepted(sitting.key())
    accepted(send(sitting, picture()))
    assert of(listed(outsider, exam), sitting)["state"] == shown(sitting) == "taken"
    accepting = accepted(proctor(outsider, sitting, "check", accepted=True))
    assert accepting == accepted(proctor(outsider, sitting, "check", accepted=True))
    assert of(listed(outsider, exam), sitting).items() >= {"state": "accepted", "act": accepting["act"]}.items()
    refused(send(sitting, picture()), 409, "sitting.order")
    accepted(proctor(outsider, sitting, "check", accepted=False))  # looked at once more
    assert shown(sitting) == "refused"


def test_list_is_by_room_and_page(outsider: Outsider) -> None:
    rows = [
        out.person(room=room, site="一号考点", seat=f"{seat:02d}") for seat, room in enumerate(("101", "101", "102"), 1)
    ]
    exam = outsider.exam(rows=rows, rules={"photo": "required"})
    first = exam.enter(0)
    accepted(send(first, picture()))

    whole = listed(outsider, exam)
    path = f"/v1/batches/{exam.batch_id}/photos"
    pages, after = [], ""
    while after is not None:
        page = accepted(outsider.call("GET", path, scope="proctor", params={"limit": 2, "after": after}))
        pages += page["photos"]
        after = page["next"]

    ids = [each["sitting_id"] for each in whole]
    assert [each["sitting_id"] for each in pages] == ids and len(set(ids)) == 3
    assert len(listed(outsider, exam, room="101", site="一号考点")) == 2
    assert listed(outsider, exam, site="二号考点") == []
    assert [each["sitting_id"] for each in listed(outsider, exam, state="taken")] == [first.sitting_id]
    assert of(whole, first)["photo"]["bytes"] > 0
    problem = refused(outsider.call("GET", path, scope="proctor", params={"limit": 0, "state": "x"}), 422)
    assert out.pointers(problem) == ["/limit", "/state"]
    refused(outsider.call("GET", "/v1/batches/nowhere/photos", scope="proctor"), 404, "not_found")
    refused(outsider.call("GET", path, scope="schedule"), 403, "auth.scope")
