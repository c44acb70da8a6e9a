"""Device checks over HTTP: probes, what a page measured, and what a room's proctor is shown of it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.rules.limits import DEVICE_BODY_BYTES_MAX, PROBE_BYTES_MAX, PROBES_PER_MINUTE
from tests.contract import outsider as out
from tests.contract.outsider import Exam, Outsider, accepted, person, refused

MEASURED: dict[str, Any] = {
    "browser": "chrome",
    "browser_version": 131,
    "system": "windows",
    "system_version": "10",
    "user_agent": "Mozilla/5.0 (Windows NT 10.0)",
    "is_handheld": False,
    "screen_width_px": 1920,
    "screen_height_px": 1080,
    "layout_width_px": 1920,
    "layout_height_px": 940,
    "zoom_percent": 100,
    "memory_mib": 8192,
    "cores": 4,
    "hash_mib_per_s": 310,
    "camera_width_px": 1280,
    "camera_height_px": 720,
    "camera_fault": "",
    "clock_ms": -120,
    "storage_works": True,
    "quota_mib": 20000,
    "service_worker_works": True,
    "crypto_works": True,
    "channel_opens": True,
    "round_trip_ms": 12,
    "down_kbit_s": 900,
    "up_kbit_s": 900,
    "took_ms": 9000,
}


@pytest.fixture(scope="module")
def check(outsider: Outsider) -> Exam:
    """A device check of one room: two seats, one spare."""
    return device_check(outsider, "01", "02", "备用1")


@pytest.fixture(scope="module")
def formal(outsider: Outsider) -> out.Sitting:
    return outsider.exam().arrive()


def device_check(outsider: Outsider, *seats: str) -> Exam:
    site = f"{out.unique('考点')}"
    rows = [person(site=site, room="1号机房", seat=seat) for seat in seats]
    return outsider.exam(rows=rows, kind="device_check")


def place(exam: Exam) -> dict[str, str]:
    return {"site": exam.roster[0]["site"], "room": exam.roster[0]["room"]}


def shown(exam: Exam) -> dict[str, Any]:
    path = f"/v1/batches/{exam.batch_id}/devices"
    return dict(accepted(exam.outsider.call("GET", path, scope="proctor", params=place(exam))))


def send(sitting: out.Sitting, **changes: Any) -> Any:
    return sitting.call("POST", "/v1/sitting/device", json={**MEASURED, **changes})


def test_probe_gives_as_many_bytes_as_asked_for_and_nobody_keeps_them(check: Exam) -> None:
    sitting = check.arrive(0)
    for wanted in (0, 1, 8192, PROBE_BYTES_MAX):
        answer = sitting.call("GET", "/v1/sitting/probe", params={"bytes": wanted})
        assert (answer.status_code, len(answer.content)) == (200, wanted)
        assert "no-store" in answer.headers["cache-control"] and "content-encoding" not in answer.headers
    assert len(set(answer.content)) == 256, "what goes down cannot be compressed"


@pytest.mark.parametrize("wanted", ["", "-1", "1.5", "x", str(PROBE_BYTES_MAX + 1), "9" * 5000, "١"])
def test_probe_of_no_possible_size_is_refused(check: Exam, wanted: str) -> None:
    answer = check.arrive(0).call("GET", "/v1/sitting/probe", params={"bytes": wanted})

    assert out.pointers(refused(answer, 422, "request.invalid")) == ["/bytes"]


def test_probe_up_is_counted_and_tells_the_time(check: Exam) -> None:
    sitting = check.arrive(0)
    before_ms = out.now_ms()
    answer = accepted(sitting.call("POST", "/v1/sitting/probe", content=b"x" * 70_000))

    assert answer["bytes"] == 70_000 and before_ms - 5 <= answer["server_ms"] <= out.now_ms() + 5
    assert accepted(sitting.call("POST", "/v1/sitting/probe", content=b""))["bytes"] == 0
    refused(sitting.call("POST", "/v1/sitting/probe", content=b"x" * (PROBE_BYTES_MAX + 1)), 413, "request.too_large")


def test_probes_of_one_machine_are_bounded(outsider: Outsider) -> None:
    sitting = device_check(outsider, "01").arrive()
    answers = [sitting.call("POST", "/v1/sitting/probe", content=b"") for _ in range(PROBES_PER_MINUTE + 1)]

    assert [answer.status_code for answer in answers[:-1]] == [200] * PROBES_PER_MINUTE
    assert refused(answers[-1], 429, "rate.limited") and int(answers[-1].headers["retry-after"]) >= 1


def test_check_is_judged_by_the_engine_and_shown_in_the_room(check: Exam) -> None:
    before_ms = out.now_ms()
    told = accepted(send(check.arrive(0)))
    weak = accepted(send(check.arrive(1), memory_mib=1024, zoom_percent=125))
    failed = accepted(send(check.arrive(2), camera_fault="none", camera_width_px=0, camera_height_px=0))

    assert (told["verdict"], weak["verdict"], failed["verdict"]) == ("ok", "weak", "fail")
    assert (told["site"], told["room"], told["seat"]) == (*place(check).values(), "01")
    assert told["candidates"] == 2 and told["tier"] == {"candidates_max": 200, "up_mbit_s": 10, "down_mbit_s": 5}
    assert told["share"] == {"up_kbit_s": 333, "down_kbit_s": 166}
    room = shown(check)
    assert [(each["seat"], each["role"], each["verdict"], each["failing"]) for each in room["machines"]] == [
        ("01", "machine", "ok", []),
        ("02", "machine", "weak", ["zoom", "memory"]),
        ("备用1", "spare", "fail", ["camera"]),
        ("管理机", "management", None, []),
    ]
    assert room["machines"][0]["findings"] == told["findings"]
    assert room["machines"][0]["checked_ms"] == told["checked_ms"] >= before_ms - 5
    assert room["acceptance"]["verdict"] == "fail"
    memory = next(item for item in room["acceptance"]["items"] if item["name"] == "memory")
    assert (memory["worst"], memory["required"], memory["median"]) == (
        {"seat": "02", "verdict": "weak", "measured": "1 GB"}, "≥ 2 GB", "8 GB",
    )  # fmt: skip


def test_newest_check_of_a_machine_counts(outsider: Outsider) -> None:
    exam = device_check(outsider, "01")
    sitting = exam.arrive()
    accepted(send(sitting, memory_mib=512))
    accepted(send(sitting))
    (machine, _) = shown(exam)["machines"]

    assert (machine["verdict"], machine["checks"], machine["failing"]) == ("ok", 2, [])


def test_exam_in_the_same_room_sees_what_its_machines_have(outsider: Outsider) -> None:
    """Results are kept per machine; another device check begins anew."""
    first = device_check(outsider, "01", "02")
    accepted(send(first.arrive(0)))
    rows = [person(**place(first), seat=seat) for seat in ("01", "03")]
    exam = outsider.exam(rows=rows)
    again = outsider.exam(rows=[person(**place(first), seat="01")], kind="device_check")

    assert [(each["seat"], each["verdict"]) for each in shown(exam)["machines"]] == [
        ("01", "ok"), ("03", None), ("管理机", None),
    ]  # fmt: skip
    assert [each["verdict"] for each in shown(again)["machines"]] == [None, None]


def test_management_machine_is_checked_with_the_proctors_key(outsider: Outsider) -> None:
    exam = device_check(outsider, "01")
    path = f"/v1/batches/{exam.batch_id}/devices"
    down = outsider.call("GET", f"{path}/probe", scope="proctor", params={"bytes": 9})
    up = outsider.call("POST", f"{path}/probe", scope="proctor", content=b"12345")
    told = accepted(outsider.call("POST", path, scope="proctor", params=place(exam), json=MEASURED))

    assert (len(down.content), accepted(up)["bytes"]) == (9, 5)
    assert (told["seat"], told["verdict"]) == ("管理机", "ok")
    room = shown(exam)
    assert [(each["seat"], each["verdict"]) for each in room["machines"]] == [("01", None), ("管理机", "ok")]
    assert [count["passed"] for count in room["acceptance"]["counts"]] == [0, 0, 1]


def test_management_machines_of_many_rooms_do_not_count_as_one(outsider: Outsider) -> None:
    """They share a batch, and perhaps a key: what one machine may send must not be all that a hundred may."""
    path = f"/v1/batches/{device_check(outsider, '01').batch_id}/devices/probe"
    asked = [outsider.call("POST", path, scope="proctor", content=b"") for _ in range(PROBES_PER_MINUTE + 1)]

    assert {answer.status_code for answer in asked} == {200}


def test_management_machine_of_a_room_that_is_not_there_is_refused(outsider: Outsider) -> None:
    """A slip of the pen is not told as kept where nobody will find it."""
    exam = device_check(outsider, "01")
    elsewhere = {**place(exam), "room": "没有的机房"}
    answer = outsider.call(
        "POST", f"/v1/batches/{exam.batch_id}/devices", scope="proctor", params=elsewhere, json=MEASURED
    )
    refused(answer, 404, "not_found")


def test_what_no_machine_can_have_is_refused_and_nothing_is_kept(outsider: Outsider) -> None:
    exam = device_check(outsider, "01")
    problem = refused(send(exam.arrive(), verdict="ok", browser="netscape", up_kbit_s=-1), 422, "device.invalid")

    assert sorted(out.pointers(problem)) == ["/browser", "/up_kbit_s", "/verdict"]
    assert shown(exam)["machines"][0]["checked_ms"] is None
    refused(outsider.call("POST", "/v1/device", content=b" " * (8 * 1024 + 1)), 413, "request.too_large")
    accepted(outsider.call("POST", "/v1/device", json={**MEASURED, "user_agent": "界" * 512}))


def test_only_a_device_check_takes_probes_and_results(formal: out.Sitting) -> None:
    for answer in (
        formal.call("GET", "/v1/sitting/probe", params={"bytes": 1}),
        formal.call("POST", "/v1/sitting/probe", content=b"1"),
        send(formal),
    ):
        assert refused(answer, 409, "device.not_a_check")["kind"] == "formal"


def test_check_is_over_when_its_batch_has_closed(outsider: Outsider) -> None:
    exam = outsider.exam(kind="device_check", duration_s=2, rules={"grace_s": 0})
    sitting = exam.arrive()
    out.sleep_until(exam.closes_ms)

    refused(send(sitting), 409, "device.closed")
    refused(sitting.call("GET", "/v1/sitting/probe", params={"bytes": 1}), 409, "device.closed")


def test_later_login_ends_the_older_machines_check(outsider: Outsider) -> None:
    exam = device_check(outsider, "01")
    older = exam.arrive()
    exam.arrive()

    refused(send(older), 409, "sitting.superseded")


def test_a_check_is_no_larger_than_what_is_measured(outsider: Outsider, check: Exam) -> None:
    """Reading JSON takes turns of the event loop from those who save; every way in has the limit that is described."""
    body = b"[" + b"0," * DEVICE_BODY_BYTES_MAX + b"0]"
    management = f"/v1/batches/{check.batch_id}/devices"
    answers = [
        check.arrive(0).call("POST", "/v1/sitting/device", content=body),
        outsider.call("POST", "/v1/device", content=body),
        outsider.call("POST", management, scope="proctor", params=place(check), content=body),
    ]

    assert [refused(answer, 413, "request.too_large")["status"] for answer in answers] == [413] * 3


def test_room_that_is_not_named_or_not_there_is_told(outsider: Outsider, check: Exam) -> None:
    path = f"/v1/batches/{check.batch_id}/devices"
    unnamed = refused(outsider.call("GET", path, scope="proctor"), 422, "request.invalid")
    elsewhere = {"site": place(check)["site"], "room": "没有的机房"}

    assert sorted(out.pointers(unnamed)) == ["/room", "/site"]
    refused(outsider.call("GET", path, scope="proctor", params=elsewhere), 404, "not_found")
    refused(outsider.call("GET", "/v1/batches/none/devices", scope="proctor", params=elsewhere), 404, "not_found")
