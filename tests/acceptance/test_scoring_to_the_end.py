"""From the push to the last revision: exam, release, webhook, review, regrade, webhook again; each result once."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from engine.rules.webhook import shown_secret
from tests.contract import outsider as out
from tests.contract.outsider import Outsider, accepted
from tests.receiver import Receiver
from tests.servers import engine_up

CANDIDATES = 6
SECRET = shown_secret(b"a secret of the receiver's own 32")
SETTINGS = {"LIANKAO_COURIER_NETWORKS": "127.0.0.0/8", "LIANKAO_COURIER_RETRY_FIRST_S": "0.05"}
PEOPLE = {"approved_by": ["王五", "赵六"]}


def test_a_wrong_answer_key_is_found_by_a_review_and_every_revision_is_pushed_once() -> None:
    """What the receiver holds in the end is what the feed has: two signed revisions of each result, in their order."""
    with engine_up("to-the-end", settings=SETTINGS) as engine:
        outsider = Outsider(engine.url, engine.keys)
        receiver, feed, review = asyncio.run(play(outsider))
        keys = outsider.public_keys()

    came = [message.result for message in receiver.accepted]
    assert came == feed
    assert Counter(result["revision"] for result in came) == {1: CANDIDATES, 2: CANDIDATES}
    assert len({message.id for message in receiver.accepted}) == len(came)
    assert all(len(out.signed_by(result, keys)) == 1 for result in came)
    assert review["ok"] is True and review["result"]["score"] == 50
    by_revision = {(result["sitting_id"], result["revision"]): result["score"] for result in came}
    assert by_revision[review["sitting_id"], 2] == 100
    assert len({result["answer_key_digest"] for result in came}) == 2


async def play(outsider: Outsider) -> tuple[Receiver, list[dict[str, Any]], dict[str, Any]]:
    """(the receiver, the feed, the answered review) after all of it."""
    receiver = Receiver(SECRET)
    await receiver.start()
    put = {"url": receiver.url, "secret": SECRET}
    accepted(await asyncio.to_thread(outsider.call, "PUT", "/v1/webhooks/W", scope="results", json=put), 201)
    exam, sitting_ids = await asyncio.to_thread(sit, outsider)
    await taken(receiver, CANDIDATES)
    review = await asyncio.to_thread(reviewed, outsider, sitting_ids[0])
    await asyncio.to_thread(regraded, outsider, exam.batch_id)
    await taken(receiver, 2 * CANDIDATES)
    query = {"limit": 1000}
    feed = await asyncio.to_thread(outsider.call, "GET", "/v1/results", scope="results", params=query)
    await receiver.stop()
    return receiver, list(accepted(feed)["results"]), review


def sit(outsider: Outsider) -> tuple[out.Exam, list[str]]:
    """An exam whose results are released by two people; the paper's second answer is wrong, and who knew it lost."""
    items = [out.single("A1", answer="b"), out.single("A2", answer="a")]
    rules = {"grace_s": 0, "release": "approved"}
    exam = outsider.exam(*items, rows=CANDIDATES, duration_s=4, rules=rules)
    sitting_ids = []
    for index in range(CANDIDATES - 1):  # the last one never comes
        sitting = exam.enter(index)
        accepted(sitting.save(("A1", 1, "b"), ("A2", 2, "c" if index % 2 == 0 else "a")))
        accepted(sitting.submit(2))
        sitting_ids.append(sitting.sitting_id)
    out.poll(lambda: outsider.show_batch(exam.batch_id)["state"] == "graded", 60, "graded")
    path = f"/v1/batches/{exam.batch_id}/release"
    out.poll(lambda: outsider.call("POST", path, scope="schedule", json=PEOPLE).status_code == 200, 30, "a release")
    return exam, sitting_ids


def reviewed(outsider: Outsider, sitting_id: str) -> dict[str, Any]:
    path = f"/v1/sittings/{sitting_id}/review"
    accepted(outsider.call("POST", path, scope="results", json={"grounds": ["tally"], "text": "第二题答案有误"}), 201)
    shown = lambda: accepted(outsider.call("GET", path, scope="results"))  # noqa: E731
    out.poll(lambda: shown()["state"] == "checked", 30, "a recheck")
    answer = {"answered_by": "李四", "text": "合分无误;第二题答案另按重评程序办理"}
    return dict(accepted(outsider.call("POST", f"{path}/answer", scope="results", json=answer)))


def regraded(outsider: Outsider, batch_id: str) -> None:
    path = f"/v1/batches/{batch_id}/regrades"
    body = {"reason": "第二题答案有误", "proposed_by": "王五", "changes": [{"item": "A2", "answer": "c"}]}
    at = f"{path}/{accepted(outsider.call('POST', path, scope='results', json=body), 201)['regrade_id']}"
    shown = lambda: accepted(outsider.call("GET", at, scope="results"))["state"]  # noqa: E731
    out.poll(lambda: shown() == "ready", 30, "a dry run")
    accepted(outsider.call("POST", f"{at}/apply", scope="results", json=PEOPLE))
    out.poll(lambda: shown() == "applied", 30, "an applied regrade")


async def taken(receiver: Receiver, count: int) -> None:
    for _ in range(1200):
        if len(receiver.accepted) >= count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{len(receiver.accepted)} of {count} results came")
