"""The process that seals papers: it gives back ciphertext, ends with its worker, and nothing ends with it."""

from __future__ import annotations

import asyncio
import os
import signal
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.rules import exact_json
from engine.rules.errors import ExamError, Refused, TryLater
from engine.rules.limits import PAPER_BODY_BYTES_MAX
from engine.scheduling import sealer_jobs
from engine.scheduling.sealer import Sealer
from engine.scheduling.sealer_jobs import Failed, SealBatch, SealedPaper, SealPaper
from engine.sealing import answer_key, content, manifest, paper, secrets
from engine.sealing.envelope import SealBroken
from engine.sealing.provider import content_purpose, open_provider, paper_key_purpose
from engine.sealing.signature import Signer
from engine.settings import Settings
from engine.vault import Vault
from tests.integration.exam import DOCUMENT, GRADER_KEY, question_set
from tests.servers import wait_until

RECIPIENT = answer_key.public_key(GRADER_KEY)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    secrets.create(tmp_path)
    return Settings(secrets_dir=str(tmp_path))


@pytest.fixture
def sealer(settings: Settings) -> Iterator[Sealer]:
    found = Sealer(settings)
    yield found
    found.close()


def vault(plain: bytes) -> Vault:
    found = Vault(2 * PAPER_BODY_BYTES_MAX)
    found.keep(plain)
    return found


def body() -> Vault:
    return vault(orjson.dumps(DOCUMENT))


async def pushed(sealer: Sealer) -> SealedPaper:
    return await sealer.seal_paper(SealPaper("P", RECIPIENT), body())


async def armed(sealer: Sealer, sealed: SealedPaper, paper_id: str = "P") -> sealer_jobs.SealedBatch:
    job = SealBatch("B", "B", paper_id, sealed.digest, sealed.content_key_wrapped)
    return await sealer.seal_batch(job, vault(sealed.content))


def process_of(sealer: Sealer) -> int:
    assert sealer.workshop._process is not None
    return sealer.workshop._process.pid


async def test_it_waits_for_what_serves_an_exam(sealer: Sealer) -> None:
    """Where processors are short, a paper takes longer, and no save does."""
    await pushed(sealer)

    assert os.getpriority(os.PRIO_PROCESS, process_of(sealer)) > os.getpriority(os.PRIO_PROCESS, 0)


async def test_a_paper_comes_back_sealed_and_its_answers_apart(sealer: Sealer, settings: Settings) -> None:
    """Each opens with its own key only, and what checking needs is all that can be read."""
    sealed = await pushed(sealer)

    questions = question_set()
    purpose = content_purpose("P", sealed.digest)
    content_key = open_provider(settings).unwrap(purpose, sealed.content_key_wrapped)
    plain = orjson.loads(content.open_content(purpose, sealed.content, content_key))
    answers = answer_key.open_answer_key(sealed.answer_key_envelope, sealed.digest, GRADER_KEY)
    assert (sealed.digest, sealed.items, sealed.points) == (questions.digest, questions.items, questions.points)
    assert plain == questions.public
    assert exact_json.digest(answers) == sealed.answer_key_digest == questions.answer_key_digest
    assert orjson.loads(sealed.item_index) == questions.index
    assert b"Which" not in sealed.content and b"Which" not in sealed.item_index
    with pytest.raises(SealBroken):
        content.open_content(purpose, sealed.content[:-1] + b"x", content_key)
    with pytest.raises(SealBroken):
        content.open_content(content_purpose("Q", sealed.digest), sealed.content, content_key)
    with pytest.raises(SealBroken):
        content.open_content(purpose, zlib.compress(b"{}"), content_key)


async def test_every_batch_gets_a_key_of_its_own(sealer: Sealer, settings: Settings) -> None:
    """Saturday's must not open Sunday's paper; neither key is among what the worker is told."""
    sealed = await pushed(sealer)
    first, second = await armed(sealer, sealed), await armed(sealer, sealed)

    provider = open_provider(settings)
    keys = [provider.unwrap(paper_key_purpose("B"), each.paper_key_wrapped) for each in (first, second)]
    opened = paper.open_paper("B", first.sealed, keys[0])
    assert {**opened, "batch_id": "B"} == {**question_set().public, "batch_id": "B"}
    assert keys[0] != keys[1] and first.sealed_digest == paper.sealed_digest(first.sealed) != second.sealed_digest
    with pytest.raises(SealBroken):
        paper.open_paper("B", second.sealed, keys[0])


async def test_a_sealed_batch_is_signed_by_the_key_that_signs_receipts(sealer: Sealer, settings: Settings) -> None:
    """Its public half is published: anybody can see who sealed a paper."""
    sealed = await armed(sealer, await pushed(sealer))

    signer = Signer(secrets.read(settings.secrets_dir, "receipt.key"))
    assert manifest.verify_manifest(sealed.sealed, signer.public_key).batch_id == "B"


async def test_content_of_another_paper_is_not_sealed_for_a_batch(sealer: Sealer) -> None:
    """A row moved in the database opens nothing; arming says what to do."""
    sealed = await pushed(sealer)

    with pytest.raises(Refused, match="push it again") as refused:
        await armed(sealer, sealed, paper_id="Q")

    assert refused.value.code == "batch.not_ready"
    assert [entry["code"] for entry in refused.value.members["not_ready"]] == ["paper.content"]


async def test_a_paper_is_refused_as_it_would_be_by_the_rules_themselves(sealer: Sealer) -> None:
    """The same problem, member by member: a child process must not change what the caller is told."""
    from engine.rules.question_set import read_question_set

    faulty: dict[str, Any] = {"title": 1, "sections": [], "more": 0.25}
    told: list[ExamError] = []
    for plain in (orjson.dumps(faulty), b'{"title": "a", "title": "b"}', b"\xff"):
        with pytest.raises(Refused) as expected:
            read_question_set(exact_json.decode(plain))
        with pytest.raises(Refused) as refused:
            await sealer.seal_paper(SealPaper("P", RECIPIENT), vault(plain))
        assert refused.value.problem() == orjson.loads(orjson.dumps(expected.value.problem(), default=float))
        told.append(refused.value)

    assert [error.code for error in told] == ["paper.invalid", "request.malformed", "request.malformed"]


async def test_a_failure_tells_nothing_of_the_paper(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception's words may quote what they failed on."""

    def broken(_: object) -> None:
        raise ValueError("the answer is b")

    monkeypatch.setattr(sealer_jobs, "read_question_set", broken)
    outcome = sealer_jobs.do(SealPaper("P", RECIPIENT), b"{}", settings)

    assert isinstance(outcome, Failed)
    assert (outcome.error().code, "answer" in outcome.detail) == ("internal", False)


async def test_papers_are_sealed_one_beside_another(sealer: Sealer) -> None:
    """More at a time than may be: the others wait their turn."""
    sealed = await asyncio.gather(*(pushed(sealer) for _ in range(6)))

    assert len({each.content for each in sealed}) == 6
    assert {each.digest for each in sealed} == {question_set().digest}


async def test_a_process_that_died_is_replaced(sealer: Sealer) -> None:
    """Whoever killed it: the next paper is sealed by another."""
    await pushed(sealer)
    first = process_of(sealer)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[0] == "Z", 30, "it is dead")

    await pushed(sealer)

    assert process_of(sealer) != first


async def test_a_paper_that_takes_too_much_memory_ends_its_own_process_only(
    sealer: Sealer,
) -> None:
    """The bound holds for one paper; the next one is sealed."""
    sealer.workshop._boot = sealer.workshop._boot.replace(
        "sealer_process.main", "sealer_process.SEAL_MEMORY_BYTES_MAX = 400 * 2**20; sealer_process.main"
    )

    with pytest.raises((Refused, TryLater)) as refused:
        await sealer.seal_paper(SealPaper("P", RECIPIENT), vault(b"[" + b"{}," * 8_000_000 + b"{}]"))
    sealed = await pushed(sealer)

    assert refused.value.code in ("request.too_large", "try_later")
    assert sealed.items == 4


async def test_the_process_ends_when_nobody_is_at_the_other_end(settings: Settings) -> None:
    """A worker that is killed says no goodbye."""
    sealer = Sealer(settings)
    await pushed(sealer)
    process, line = sealer.workshop._process, sealer.workshop._line
    assert process is not None and line is not None

    line.close()

    assert process.wait(30) == 0
    sealer.close()
