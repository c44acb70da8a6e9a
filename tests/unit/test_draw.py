"""`./run paper draw`: files in, files out, and what is left when it is ended in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine import __main__ as command_line
from engine.rules import exact_json
from engine.rules.question_set import read_question_set


def write(folder: Path, name: str, document: Any) -> Path:
    (folder / name).write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    return folder / name


def item(number: int) -> dict[str, Any]:
    return {
        "id": f"Q{number}",
        "type": "true_false",
        "stem": f"第 {number} 题",
        "answer": True,
        "topic": "劳动合同",
        "difficulty": 0.1 * (number % 10),
    }


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A bank of 30 items, of which a paper takes 10, each in two draws at most."""
    write(tmp_path, "bank.json", {"items": [item(number) for number in range(30)]})
    row = {"section": "A", "topic": "劳动合同", "count": 10, "points": 0.5}
    sections = [{"id": "A", "title": "判断题"}]
    write(tmp_path, "blueprint.json", {"title": "试卷", "sections": sections, "rows": [row], "max_uses": 2})
    return tmp_path


def run(desk: Path, out: str, seed: str = "s", forms: int = 1, exposure: str = "exposure.json") -> int:
    words = ["--bank", desk / "bank.json", "--blueprint", desk / "blueprint.json", "--seed", seed]
    words += ["--forms", forms, "--out", desk / out, "--exposure", desk / exposure]
    return command_line.main(["paper", "draw", *map(str, words)])


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_drawn_papers_can_be_pushed_as_they_are(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each file is a question set; the record says its digest, and nothing lies beside them."""
    assert run(desk, "out", forms=3) == 0

    told = capsys.readouterr().out
    record = json.loads((desk / "out" / "draw.json").read_text("utf-8"))
    for paper in record["papers"]:
        found = read_question_set(exact_json.decode((desk / "out" / paper["file"]).read_bytes()))
        assert (found.digest, found.items, float(found.points)) == (paper["digest"], 10, 5.0)
        assert paper["digest"] in told
    assert contents(desk / "out").keys() == {"draw.json", "form-1.json", "form-2.json", "form-3.json"}
    assert record["shared"] == 0 and "第" not in (desk / "out" / "draw.json").read_text("utf-8")
    assert {(desk / "out").stat().st_mode & 0o777, *(f.stat().st_mode & 0o777 for f in (desk / "out").iterdir())} == {
        0o700,
        0o600,
    }
    assert sorted(file.name for file in desk.iterdir()) == ["bank.json", "blueprint.json", "exposure.json", "out"]


def test_draws_count_until_an_item_is_worn(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Thirty items, ten a draw, each twice at most: four draws can always be made, a seventh never."""
    made = 0
    while run(desk, f"out{made}", seed=str(made)) == 0:
        made += 1

    draws = json.loads((desk / "exposure.json").read_text())["draws"]
    drawn = [each for draw in draws for each in draw["items"]]
    assert 4 <= made <= 6 and len(draws) == made and max(drawn.count(each) for each in drawn) == 2
    told = capsys.readouterr().err
    assert "row 1 (section A, topic '劳动合同'" in told and "more were drawn too often" in told
    assert not (desk / f"out{made}").exists()


def test_the_same_draw_again_gives_the_same_and_counts_once(desk: Path) -> None:
    """Also after others: it is drawn from the history that it was drawn from."""
    assert run(desk, "first", seed="a", forms=2) == 0
    assert run(desk, "between", seed="b") == 0
    before = (desk / "exposure.json").read_bytes()

    assert run(desk, "again", seed="a", forms=2) == 0

    assert contents(desk / "again") == contents(desk / "first")
    assert (desk / "exposure.json").read_bytes() == before


def test_a_draw_ended_in_between_is_finished_by_repeating_it(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had counted, its folder was not there yet: the papers come, and it counts once."""

    def ended(self: Path, target: Path) -> Path:
        raise RuntimeError("ended")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", ended)
        with pytest.raises(RuntimeError, match="ended"):
            run(desk, "out")
    assert len(json.loads((desk / "exposure.json").read_text())["draws"]) == 1 and not (desk / "out").exists()

    assert run(desk, "out") == 0

    assert len(json.loads((desk / "exposure.json").read_text())["draws"]) == 1
    assert not (desk / ".out.part").exists() and len(contents(desk / "out")) == 2


def test_a_draw_that_cannot_be_counted_leaves_no_readable_paper(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its history cannot be written: nothing was drawn, and whoever looks into the folder later finds nothing."""
    (desk / ".exposure.json.part").mkdir()

    assert run(desk, "out", forms=2) != 0

    assert "exposure.json" in capsys.readouterr().err
    assert not list(desk.rglob("form-*.json")) and not (desk / "out").exists()


@pytest.mark.parametrize(
    ("name", "document", "expected"),
    [
        ("bank.json", {"items": [{**item(1), "difficulty": 7}], "x": 1}, ["2 faults", "/items/0/difficulty", "/x"]),
        ("blueprint.json", {"title": "T"}, ["/sections: is missing", "/rows: is missing"]),
        ("exposure.json", {"draws": []}, ["/format: is missing"]),
        ("bank.json", None, ["/: expected an object", "bank.json"]),
    ],
)
def test_what_cannot_be_read_is_named_and_nothing_is_written(
    desk: Path, capsys: pytest.CaptureFixture[str], name: str, document: Any, expected: list[str]
) -> None:
    """File, place, and what was expected there; every fault of the file."""
    write(desk, name, document)

    assert run(desk, "out") == 1

    told = capsys.readouterr().err
    assert all(words.removeprefix("/: ") in told for words in expected), told
    assert not (desk / "out").exists()


@pytest.mark.parametrize(
    ("forms", "seed", "expected"), [(0, "s", "1 to 64"), (65, "s", "1 to 64"), (1, "", "--seed: expected 1 to 64")]
)
def test_words_that_cannot_be_used_are_named(
    desk: Path, capsys: pytest.CaptureFixture[str], forms: int, seed: str, expected: str
) -> None:
    """Before any file is read."""
    assert run(desk, "out", seed=seed, forms=forms) == 1
    assert expected in capsys.readouterr().err


def test_nothing_is_written_over(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder is made by the draw, or not used."""
    (desk / "out").mkdir()

    assert run(desk, "out") == 1

    assert "exists" in capsys.readouterr().err and not (desk / "exposure.json").exists()
