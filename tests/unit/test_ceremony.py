"""`./run paper`: sealed away from any server, the key split among people; what does not belong together says so."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine import __main__ as command_line
from engine import ceremony
from engine.rules.question_set import read_question_set
from engine.sealing import answer_key, package, paper, shares
from engine.sealing.envelope import SealBroken
from engine.sealing.package import Package, make_package, read_package
from engine.sealing.secrets import create
from engine.sealing.signature import Signer, shown_key
from tests.integration.exam import DOCUMENT, GRADER_KEY

KEY = bytes(range(32))
SIGNER = Signer(b"s" * 32)
PHRASES = ("first holder's words", "第二位保管人的口令八九十", "third holder's words")


def packed(batch_id: str = "B", paper_key: bytes = KEY) -> bytes:
    return make_package(batch_id, read_question_set(DOCUMENT), paper_key, answer_key.public_key(GRADER_KEY), SIGNER)


def sealed_by(signer: Signer, batch_id: str = "B") -> bytes:
    return paper.seal_paper(batch_id, read_question_set(DOCUMENT).public, KEY, signer)


def forged() -> bytes:
    """One whose signature somebody has touched."""
    sealed = sealed_by(SIGNER)
    at = sealed.index(b'"signature":"') + 20
    return sealed[:at] + (b"B" if sealed[at : at + 1] == b"A" else b"A") + sealed[at + 1 :]


@pytest.fixture(scope="module")
def made() -> Package:
    return read_package(packed())


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares that can be guessed: these tests are not about guessing."""
    monkeypatch.setattr(shares, "_SCRYPT", (2, 8, 1))


def combine(given: list[shares.OpenShare], made: Package) -> bytes:
    return shares.combine_shares(given, made.sealed_digest, made.batch_id, made.key_check)


# --- the package -----------------------------------------------------------------------------------------------


def test_a_package_holds_the_sealed_paper_and_the_answers_for_the_grader_alone(made: Package) -> None:
    """And says in the clear no more than what checking a response needs."""
    document = read_question_set(DOCUMENT)

    assert paper.open_paper("B", made.sealed, KEY)["sections"] == document.public["sections"]
    assert answer_key.open_answer_key(made.envelope, made.paper_digest, GRADER_KEY) == document.answer_key
    assert (made.paper_digest, made.items, made.points) == (document.digest, 4, 4)
    assert made.index == document.index
    assert b"Which?" not in packed() and b'answer"' not in packed()


def test_a_package_with_any_byte_changed_is_refused() -> None:
    """Head, sealed paper or envelope; cut off or longer."""
    whole = packed()
    read_package(whole)
    places = [*range(0, 60), *range(60, len(whole), 41), len(whole) - 1]
    changed = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in places]
    changed += [whole[:length] for length in range(0, len(whole), 97)] + [whole + b"\0"]

    for content in changed:
        with pytest.raises(SealBroken):
            read_package(content)


def test_a_package_put_together_from_two_is_refused() -> None:
    """The answers of one paper behind another."""
    one, other = packed(), packed("C")
    envelope_bytes = len(read_package(other).envelope)

    with pytest.raises(SealBroken, match="envelope of the answers"):
        read_package(one[:-envelope_bytes] + other[-envelope_bytes:])


def test_a_package_is_trusted_only_from_those_named() -> None:
    """A stranger's signature is a valid one, too."""
    read_package(packed(), [shown_key(SIGNER.public_key)])

    with pytest.raises(SealBroken, match="none of those that are trusted"):
        read_package(packed(), [shown_key(Signer(b"x" * 32).public_key)])


@pytest.mark.parametrize(
    ("sealed", "told"),
    [
        (sealed_by(Signer(b"x" * 32)), "not signed by this key"),
        (sealed_by(SIGNER, "C"), "for two batches"),
        (b"LKP1" + bytes(60), "earlier release"),
    ],
    ids=["of another signer", "of another batch", "of an earlier release"],
)
def test_a_package_with_a_sealed_paper_that_is_not_its_own_is_refused(
    monkeypatch: pytest.MonkeyPatch, sealed: bytes, told: str
) -> None:
    """Also when its author has signed it: at the start it would open for nobody, or be somebody else's."""
    monkeypatch.setattr(package, "seal_paper", lambda *_: sealed)
    content = packed()

    with pytest.raises(SealBroken, match=told):
        read_package(content)


# --- shares ----------------------------------------------------------------------------------------------------


def test_any_two_of_three_shares_give_the_key_and_one_does_not(made: Package) -> None:
    """In any order; a third does no harm."""
    given = shares.split_key(KEY, made, 2, 3)

    for some in [*itertools.permutations(given, 2), tuple(given)]:
        assert combine(list(some), made) == KEY
    with pytest.raises(SealBroken, match="1 shares are given, expected 2 of 3"):
        combine(given[:1], made)
    with pytest.raises(SealBroken, match="expected at least two"):
        combine([], made)


def test_shares_that_do_not_belong_together_are_named(made: Package) -> None:
    """Of another paper, of another split, or one twice."""
    given, again = shares.split_key(KEY, made, 2, 3), shares.split_key(KEY, made, 2, 3)
    other = read_package(packed("C", KEY[::-1]))
    foreign = shares.split_key(KEY[::-1], other, 2, 3)

    with pytest.raises(SealBroken, match="share 2 is of another paper"):
        combine([given[0], foreign[1]], made)
    with pytest.raises(SealBroken, match="shares 1 and 2 are of two different splits"):
        combine([given[0], again[1]], made)
    with pytest.raises(SealBroken, match="share 1 is given twice"):
        combine([given[0], given[0]], made)


def test_a_share_made_up_is_found_out_by_the_check_value(made: Package) -> None:
    """It would give some key; not this one."""
    given = shares.split_key(KEY, made, 2, 3)
    forged = msgspec.structs.replace(given[1], share=given[2].share)

    with pytest.raises(SealBroken, match="do not give the key of this paper"):
        combine([given[0], forged], made)
    for broken in ("", "AA", "!" * 43):
        with pytest.raises(SealBroken, match="share 2 does not hold 32 bytes"):
            combine([given[0], msgspec.structs.replace(given[1], share=broken)], made)


@pytest.mark.parametrize(("k", "n"), [(1, 3), (3, 2), (0, 0), (2, 21)])
def test_a_split_that_makes_no_sense_is_refused(made: Package, k: int, n: int) -> None:
    """One share alone must never open a paper."""
    with pytest.raises(ValueError, match="2 <= k <= n <= 20"):
        shares.split_key(KEY, made, k, n)


def test_a_key_of_another_package_is_not_split(made: Package) -> None:
    """Else the holders would find out on the day."""
    with pytest.raises(SealBroken, match="not that of the package for batch 'B'"):
        shares.split_key(KEY[::-1], made, 2, 3)


def test_a_share_opens_with_its_passphrase_and_no_other(made: Package) -> None:
    """With the costs in force; the passphrase counts as letters, however they were composed."""
    (share, _, _) = shares.split_key(KEY, made, 2, 3)
    locked = shares.lock_share(share, "B", "café of the holder")

    assert shares.open_share(locked, "cafe\N{COMBINING ACUTE ACCENT} of the holder", "file") == share
    assert share.share.encode() not in locked
    with pytest.raises(SealBroken, match="file: the passphrase is wrong"):
        shares.open_share(locked, "cafe of the holder", "file")


@pytest.mark.parametrize(
    ("member", "value"), [("index", 2), ("k", 3), ("n", 4), ("batch_id", "C"), ("sealed_digest", "0" * 64)]
)
def test_what_a_share_says_of_itself_cannot_be_changed(made: Package, cheap: None, member: str, value: Any) -> None:
    """A share of one paper that calls itself another's does not open."""
    locked = json.loads(shares.lock_share(shares.split_key(KEY, made, 2, 3)[0], "B", PHRASES[0]))

    with pytest.raises(SealBroken, match="or the file was changed"):
        shares.open_share(json.dumps({**locked, member: value}).encode(), PHRASES[0], "file")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"format": 1}'])
def test_what_is_no_share_is_told_so(content: bytes) -> None:
    """A wrong file is not a wrong passphrase."""
    with pytest.raises(SealBroken, match="file is no share"):
        shares.open_share(content, "a passphrase", "file")


# --- the command line ------------------------------------------------------------------------------------------


class Desk:
    """The table at which a paper is sealed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        create(folder / "keys")
        self.write("paper.json", json.dumps(DOCUMENT))
        self.write("phrases", "\n".join(PHRASES))
        self.write("grader.json", json.dumps({"keys": ceremony.public_halves(folder / "keys")}))

    def write(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text, "utf-8")
        return self.folder / name

    def run(self, line: str) -> int:
        """A command whose words with a point, and those of `phrases` and `shares`, are files of the desk."""
        names = {"phrases", "shares", "key"}
        words = [str(self.folder / word) if "." in word or word in names else word for word in line.split()]
        return command_line.main(["paper", *words])

    def seal(self, more: str = "--split 2/3 --shares-to shares --passphrases phrases") -> int:
        return self.run(
            f"seal paper.json --batch B --grader-key grader.json --signing-key author.key -o p.sealed {more}"
        )


@pytest.fixture
def desk(tmp_path: Path, cheap: None) -> Desk:
    return Desk(tmp_path)


def test_a_paper_sealed_at_a_desk_opens_with_two_of_its_shares(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing readable is left there, and nothing is shown."""
    assert desk.seal() == 0
    desk.write("two.txt", f"{PHRASES[0]}\n{PHRASES[2]}")
    code = desk.run(
        "verify p.sealed --share shares/B.share-1-of-3.json --share shares/B.share-3-of-3.json --passphrases two.txt"
    )
    said = capsys.readouterr().out

    assert code == 0
    assert "batch    B" in said and "items    4, 4 points" in said and "shares   1, 3 open it" in said
    assert "Which?" not in said
    assert (desk.folder / "author.key").stat().st_mode & 0o777 == 0o600
    assert {file.stat().st_mode & 0o777 for file in (desk.folder / "shares").iterdir()} == {0o600}


def test_a_key_kept_in_a_file_is_split_later(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """By whoever does the ceremony, with the package beside it."""
    assert desk.seal("--key-to key") == 0
    assert desk.run("split key p.sealed --shares-to shares --passphrases phrases") == 0
    assert desk.run("split key p.sealed --shares-to shares --passphrases phrases") == 1
    assert len(list((desk.folder / "shares").iterdir())) == 3
    assert "nothing is written over" in capsys.readouterr().err


def test_no_share_is_handed_out_for_a_package_that_is_in_the_way(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """They would open nothing."""
    desk.write("p.sealed", "an older one")

    assert desk.seal() == 1
    assert "nothing is written over" in capsys.readouterr().err
    assert not (desk.folder / "shares").exists()


def test_faults_of_a_paper_are_all_listed_and_nothing_is_written(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a pushed paper's are."""
    desk.write(
        "paper.json", json.dumps({"title": " ", "sections": [{"id": "A", "title": "t", "items": [{"id": "!"}]}]})
    )

    assert desk.seal() == 1
    said = capsys.readouterr().err
    assert "/title: is blank" in said and "/sections/0/items/0/type: is missing" in said
    assert not (desk.folder / "p.sealed").exists() and not (desk.folder / "shares").exists()


@pytest.mark.parametrize(
    ("phrases", "told"),
    [
        ("short\nbut long enough\nlong enough too", "a passphrase of 5 characters, expected at least 10"),
        ("long enough it is\nand another one", "has 2 lines, expected a passphrase for each of 3 shares"),
    ],
)
def test_passphrases_that_will_not_do_are_told(
    desk: Desk, capsys: pytest.CaptureFixture[str], phrases: str, told: str
) -> None:
    """Before anything is written."""
    desk.write("phrases", phrases)

    assert desk.seal() == 1
    assert told in capsys.readouterr().err
    assert not (desk.folder / "p.sealed").exists()


def test_a_package_of_a_stranger_is_told_by_verify(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """With the keys of those whose packages are expected."""
    assert desk.seal() == 0
    signer = Signer((desk.folder / "author.key").read_bytes())
    desk.write("keys.json", json.dumps({"keys": [shown_key(signer.public_key)]}))
    assert desk.run("verify p.sealed --keys keys.json") == 0
    desk.write("keys.json", json.dumps({"keys": [shown_key(SIGNER.public_key)]}))

    assert desk.run("verify p.sealed --keys keys.json") == 1
    assert "none of those that are trusted" in capsys.readouterr().err


def test_a_sealed_paper_is_verified_without_any_package(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """As it was fetched from the engine, with the keys that the engine shows."""
    sealed = sealed_by(SIGNER)
    (desk.folder / "paper.sealed").write_bytes(sealed)
    desk.write("keys.json", json.dumps({"keys": [shown_key(Signer(KEY).public_key), shown_key(SIGNER.public_key)]}))

    assert desk.run("verify paper.sealed") == 0
    assert f"signed   by {SIGNER.key_id}, not checked" in capsys.readouterr().out
    assert desk.run("verify paper.sealed --keys keys.json") == 0
    said = capsys.readouterr().out
    assert "batch    B" in said and paper.sealed_digest(sealed) in said and f"{SIGNER.key_id}, checked" in said
    assert "Which?" not in said


@pytest.mark.parametrize(
    ("sealed", "keys", "told"),
    [
        (sealed_by(SIGNER), [Signer(KEY)], "which is none of those in"),
        (forged(), [SIGNER], "not signed by this key"),
        (sealed_by(SIGNER)[:-1], [SIGNER], "part s0 is cut off"),
        (b"LKP1" + bytes(40), [SIGNER], "earlier release (LKP1)"),
    ],
)
def test_a_sealed_paper_that_is_not_as_it_was_signed_is_told(
    desk: Desk, capsys: pytest.CaptureFixture[str], sealed: bytes, keys: list[Signer], told: str
) -> None:
    """With what is wrong with it."""
    (desk.folder / "paper.sealed").write_bytes(sealed)
    desk.write("keys.json", json.dumps({"keys": [shown_key(signer.public_key) for signer in keys]}))

    assert desk.run("verify paper.sealed --keys keys.json") == 1
    assert told in capsys.readouterr().err


def test_a_recipient_that_is_none_is_told(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Answers sealed to nobody could never be graded."""
    desk.write("grader.json", json.dumps({"keys": [shown_key(SIGNER.public_key)]}))

    assert desk.seal() == 1
    assert "secrets public" in capsys.readouterr().err
    assert package.MEDIA_TYPE == "application/vnd.liankao.sealed"
