"""The page's parts, each alone in a real browser: the journal's promises, what is sent for what was typed, order."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests import servers
from tests.contract import order

ORDERS = json.loads((servers.ROOT / "schema" / "vectors" / "order.json").read_text("utf-8"))
# Runs with the page's own module loader, so that it is the served files that are tested.
MODULE = """async ([name, body, given]) => {
  const AsyncFunction = (async () => {}).constructor;
  return new AsyncFunction('m', 'given', body)(await import('/web/' + name), given);
}"""
FRESH = """
  const journal = await m.openJournal(given ?? crypto.randomUUID());
  const saved = (generation, position, committed) => ({ saved: 9, generation, position, committed });
  const sent = () => journal.unsent().map(({ item, seq, json }) => [item, seq, json]);
"""


@pytest.fixture(scope="module")
def page(browser: Browser, engine_up: servers.Engine) -> Iterator[Page]:
    # The functions under test come as text, which the page's own policy rightly forbids.
    with browser.new_context(bypass_csp=True) as context:
        page = context.new_page()
        page.goto(engine_up.url)
        yield page


def run(page: Page, module: str, body: str, given: Any = None) -> Any:
    return page.evaluate(MODULE, [module, body, given])


def journal(page: Page, body: str, sitting_id: str | None = None) -> Any:
    return run(page, "journal.js", FRESH + body, sitting_id)


def test_change_is_forgotten_only_when_committed_in_its_generation(page: Page) -> None:
    states = journal(
        page,
        """
        const states = [];
        const note = () => states.push(journal.state('A1'));
        journal.merge({ generation: 3, committed: 10 });
        note();
        journal.hold('A1'); note();
        const kept = journal.write('A1', '"b"'); note();
        await kept; note();
        journal.acknowledge(journal.unsent(), saved(3, 12, 11)); note();
        journal.progress(2, 99); note();
        journal.progress(3, 11); note();
        journal.progress(3, 12); note();
        return states;
        """,
    )

    assert states == ["none", "held", "held", "local", "saved", "saved", "saved", "recorded"]


@pytest.mark.parametrize("reply", ["saved(3, 12, 11)", "saved(3, 12, 12)"], ids=["overtaken", "sent twice"])
def test_change_is_recorded_though_its_commit_was_known_before_its_reply(page: Page, reply: str) -> None:
    """In a quiet hall no later commit would ever say it again."""
    before, after = journal(
        page,
        f"""
        journal.merge({{ generation: 3, committed: 11 }});
        await journal.write('A1', '"b"');
        const chunk = journal.unsent();
        journal.progress(3, 12);
        const before = journal.state('A1');
        journal.acknowledge(chunk, {reply});
        return [before, journal.state('A1')];
        """,
    )

    assert (before, after) == ("local", "recorded")


def test_rise_of_the_generation_sends_everything_not_forgotten_again(page: Page) -> None:
    before, after, late = journal(
        page,
        """
        journal.merge({ generation: 1, committed: 0 });
        await journal.write('A1', '"a"');
        await journal.write('A2', '"b"');
        journal.acknowledge(journal.unsent(), saved(1, 5, 0));
        await journal.write('A3', '"c"');
        const first = journal.unsent();
        const before = sent();
        journal.acknowledge(first, saved(2, 1, 0));
        const after = sent();
        const again = journal.unsent();
        journal.acknowledge(again, saved(1, 7, 7));  // a reply from before the rise
        return [before, after, sent()];
        """,
    )

    assert before == [["A3", 3, '"c"']]
    assert after == late == [["A1", 1, '"a"'], ["A2", 2, '"b"']]


def test_newer_change_made_while_the_older_was_under_way_is_still_sent(page: Page) -> None:
    left, state = journal(
        page,
        """
        await journal.write('A1', '"a"');
        const under_way = journal.unsent();
        await journal.write('A1', '"b"');
        journal.acknowledge(under_way, saved(1, 5, 5));
        return [sent(), journal.state('A1')];
        """,
    )

    assert left == [["A1", 2, '"b"']]
    assert state == "local"


def test_reload_sends_what_was_not_saved_and_counts_on(page: Page) -> None:
    sitting_id = "reload-1"
    journal(page, """
        journal.merge({ generation: 4, committed: 0, responses: { B1: { seq: 41, value: ['a'] } } });
        await journal.write('A1', '"a"');
        await journal.write('A2', '12.50', '12.50');
        journal.acknowledge(journal.unsent().slice(0, 1), saved(4, 7, 3));
        await journal.writeFaulty('E1', '约 9', 'fault.number');
        journal.toggleFlag('A2');
        await journal.written();
        """, sitting_id)  # fmt: skip

    left, draft, faulty, flagged, next_seq = journal(page, """
        const responses = { B1: { seq: 41, value: ['a'] }, A1: { seq: 42, value: 'a' } };
        journal.merge({ generation: 4, committed: 6, responses });
        const left = sent();
        await journal.write('A3', 'true');
        return [left, journal.draft('A2'), journal.draft('E1'), journal.flagged('A2'), sent().at(-1)[1]];
        """, sitting_id)  # fmt: skip

    assert left == [["A2", 43, "12.50"]]
    assert (draft, faulty, flagged, next_seq) == ("12.50", "约 9", True, 44)


def test_reload_into_a_new_generation_sends_what_was_only_saved(page: Page) -> None:
    sitting_id = "reload-2"
    journal(page, """
        journal.merge({ generation: 1, committed: 0 });
        await journal.write('A1', '"a"');
        journal.acknowledge(journal.unsent(), saved(1, 7, 3));
        await journal.written();
        """, sitting_id)  # fmt: skip

    left = journal(page, "journal.merge({ generation: 2, committed: 9 }); return sent();", sitting_id)

    assert left == [["A1", 1, '"a"']]


@pytest.mark.parametrize(
    ("theirs", "sent", "aside"),
    [
        ({"seq": 5, "value": "a"}, [["A1", 8, '"c"']], None),  # as it was when typing began
        ({"seq": 7, "value": "b"}, [["A1", 8, '"c"']], None),  # ours, its acknowledgement was lost
        ({"seq": 8, "value": "c"}, [["A1", 8, '"c"']], None),  # the very change
        ({"seq": 7, "value": "d"}, [], '"c"'),  # another machine counted as we did
        ({"seq": 9, "value": "d"}, [], '"c"'),
        ({"seq": 6, "value": "d"}, [], '"c"'),
    ],
)
def test_unsent_change_never_overwrites_another_machines_answer(
    page: Page, theirs: dict[str, Any], sent: list[Any], aside: str | None
) -> None:
    sitting_id = f"foreign-{theirs['seq']}-{theirs['value']}"
    journal(page, """
        journal.merge({ generation: 1, committed: 9, responses: { A1: { seq: 5, value: 'a' } } });
        await journal.write('A2', 'true');
        await journal.write('A1', '"b"');
        await journal.write('A1', '"c"');
        await journal.written();
        """, sitting_id)  # fmt: skip

    body = f"""
        journal.merge({{ generation: 1, committed: 9, responses: {{ A1: {theirs!r} }} }});
        return [sent().filter(([item]) => item === 'A1'), journal.aside('A1') ?? null];
        """
    assert journal(page, body, sitting_id) == [sent, aside]


def test_answer_taken_over_after_it_was_saved_raises_no_question(page: Page) -> None:
    aside, value = journal(
        page,
        """
        journal.merge({ generation: 1, committed: 0 });
        await journal.write('A1', '"a"');
        journal.acknowledge(journal.unsent(), saved(1, 7, 3));
        journal.merge({ generation: 1, committed: 3, responses: { A1: { seq: 2, value: 'd' } } });
        return [journal.aside('A1') ?? null, journal.value('A1')];
        """,
    )

    assert (aside, value) == (None, "d")


def test_call_never_carries_more_than_the_engine_takes(page: Page) -> None:
    counts = journal(
        page,
        """
        for (let n = 0; n < 250; n += 1) await journal.write('A' + n, '"a"');
        const many = journal.unsent().length;
        for (let n = 0; n < 5; n += 1) await journal.write('F' + n, JSON.stringify('字'.repeat(20_000)));
        journal.acknowledge(journal.unsent(), saved(1, 1, 0));
        journal.acknowledge(journal.unsent(), saved(1, 2, 0));
        return [many, journal.unsent().length];
        """,
    )

    assert counts[0] == 200
    assert 1 <= counts[1] <= 3


@pytest.mark.parametrize(
    "refusal", ["throw new DOMException('full', 'QuotaExceededError')", "this.transaction.abort()"]
)
def test_disk_that_refuses_does_not_hold_up_the_change(page: Page, refusal: str) -> None:
    sent, broken = run(
        page,
        "journal.js",
        f"""
        const {{ put }} = IDBObjectStore.prototype;
        IDBObjectStore.prototype.put = function () {{ {refusal}; }};
        """
        """
        const began = performance.now();
        try {
          const journal = await m.openJournal(crypto.randomUUID());
          await journal.write('A1', '"a"');
          return [journal.unsent().length, journal.broken && performance.now() - began < 2_000];
        } finally { IDBObjectStore.prototype.put = put; }
        """,
    )

    assert (sent, broken) == (1, True)


@pytest.mark.parametrize(
    ("typed", "json"),
    [
        ("21.750", "21.750"),
        ("８．６６０", "8.660"),
        (" 1650 ", "1650"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+7", "7"),
        ("007.50", "7.50"),
        ("－3", "-3"),
        ("12。5", "12.5"),
        ("", "null"),
        ("123456789012345", "123456789012345"),
        ("0.000000000000001", "0.000000000000001"),
    ],
)
def test_number_goes_out_digit_for_digit(page: Page, typed: str, json: str) -> None:
    assert run(page, "values.js", "return m.encodeNumber(given)", typed) == {"json": json}


@pytest.mark.parametrize("typed", ["1234567890123456", "1,650", "240元", "1e5", "-", ".", "1/2", "0x10", "NaN"])
def test_what_is_no_number_does_not_go_out(page: Page, typed: str) -> None:
    fault = "fault.digits" if typed.isdigit() else "fault.number"
    assert run(page, "values.js", "return m.encodeNumber(given)", typed) == {"fault": fault}


@pytest.mark.parametrize(
    ("item", "typed", "expected"),
    [
        ({"type": "multiple", "options": [{"id": "a"}, {"id": "b"}]}, ["b", "a"], {"json": '["a","b"]'}),
        ({"type": "multiple", "options": [{"id": "a"}]}, [], {"json": "null"}),
        ({"type": "true_false"}, False, {"json": "false"}),
        ({"type": "fill"}, ["", "44"], {"json": '["","44"]'}),
        ({"type": "fill"}, ["", " "], {"json": "null"}),
        ({"type": "text"}, "", {"json": "null"}),
        ({"type": "text"}, "字" * 20_000, {"json": '"' + "字" * 20_000 + '"'}),
        ({"type": "text"}, "字" * 20_001, {"fault": "fault.text_long"}),
        ({"type": "text"}, "𠮷" * 20_000, {"json": '"' + "𠮷" * 20_000 + '"'}),
        ({"type": "text"}, "a\x00b", {"json": '"ab"'}),
    ],
)
def test_typed_answer_becomes_the_value_the_engine_expects(page: Page, item: Any, typed: Any, expected: Any) -> None:
    body = "return m.encode(given[0], given[1])"
    assert run(page, "values.js", body, [item, typed]) == expected


def test_number_from_the_engine_is_written_without_an_exponent(page: Page) -> None:
    numbers = [21.75, -240, 1e-7, 1.5e-9, 123456789012345, 1e21]
    written = run(page, "values.js", "return given.map(m.plainDecimal)", numbers)

    assert written == ["21.75", "-240", "0.0000001", "0.0000000015", "123456789012345", "1000000000000000000000"]


ARRANGED = """
  const seen = (items) => items.map((item) => [item.id, item.shown.map((option) => option.id)]);
  const seed = (hex) => Uint8Array.from(hex.match(/../g), (byte) => parseInt(byte, 16));
  const shuffling = { shuffle_items: true, shuffle_options: true };
  const arranged = (hex, paper, rules = shuffling) => m.arrange(paper, seed(hex), rules);
"""


def test_order_is_the_published_function_of_the_seed(page: Page) -> None:
    body = """
      const ordered = async ([hex, list, ids]) => (await m.shuffled(seed(hex), list, ids.map((id) => ({ id }))));
      return (await Promise.all(given.map(ordered))).map((things) => things.map(({ id }) => id));
    """
    vectors = [(vector["seed"], shown) for vector in ORDERS["vectors"] for shown in vector["lists"]]
    found = run(page, "order.js", ARRANGED + body, [[seed, shown["list"], shown["ids"]] for seed, shown in vectors])

    assert found == [shown["shuffled"] for _, shown in vectors]


def test_pins_and_groups_are_shown_as_published(page: Page) -> None:
    body = "return Promise.all(given.map(async ([hex, section]) => seen(await arranged(hex, { sections: [section] }))))"
    vectors = ORDERS["sections"]
    found = run(page, "order.js", ARRANGED + body, [[vector["seed"], vector["section"]] for vector in vectors])

    assert [[item for item, _ in items] for items in found] == [vector["shown"] for vector in vectors]
    assert [{item: options for item, options in items if options} for items in found] == [
        vector.get("options", {}) for vector in vectors
    ]


def random_paper(dice: random.Random) -> dict[str, Any]:
    """Sections with pins and groups wherever they may be."""

    def pinned(thing: dict[str, Any]) -> dict[str, Any]:
        return {**thing, "fixed": True} if dice.random() < 0.2 else thing

    sections: list[dict[str, Any]] = []
    for name in "AB"[: dice.randint(1, 2)]:
        items: list[dict[str, Any]] = []
        groups: list[dict[str, Any]] = []
        for block in range(dice.randint(1, 8)):
            shuffles = dice.random() < 0.5
            count = dice.randint(1, 4)
            for n in range(count):
                options = [pinned({"id": letter}) for letter in "abcde"[: dice.randint(2, 5)]]
                item = {"id": f"{name}{block}.{n}", "type": "single", "options": options}
                items.append(pinned(item) if count == 1 or shuffles else item)
            if count > 1:
                members = [item["id"] for item in items[-count:]]
                group = pinned({"id": f"G{name}{block}", "stem": "", "items": members})
                groups.append({**group, "shuffle": True} if shuffles else group)
        sections.append({"id": name, "items": items} | ({"groups": dice.sample(groups, len(groups))} if groups else {}))
    return {"sections": sections}


def test_page_shows_any_paper_as_its_description_says(page: Page) -> None:
    """300 papers, against the order computed from the description alone; a group is one run, and its items know."""
    dice = random.Random(26)
    papers = [(dice.randbytes(32), random_paper(dice)) for _ in range(300)]
    body = """
      const found = [];
      for (const [hex, paper] of given) {
        const items = await arranged(hex, paper);
        const groups = items.map(({ group }, index) => group && [index + 1, group.id, group.first, group.last]);
        const numbers = items.map((item) => item.number);
        const plain = await arranged(hex, paper, { shuffle_items: false, shuffle_options: false });
        found.push([seen(items), groups.filter(Boolean), numbers, seen(plain)]);
      }
      return found;
    """
    found = run(page, "order.js", ARRANGED + body, [[seed.hex(), paper] for seed, paper in papers])

    for (seed, paper), (seen, groups, numbers, unshuffled) in zip(papers, found, strict=True):
        assert seen == [[item, options] for item, options in order.shown_paper(seed, paper)]
        assert numbers == list(range(1, len(seen) + 1))
        assert unshuffled == [
            [item["id"], [option["id"] for option in item["options"]]]
            for section in paper["sections"]
            for item in section["items"]
        ]
        expected = {
            group["id"]: set(group["items"]) for section in paper["sections"] for group in section.get("groups", [])
        }
        assert {group for _, group, _, _ in groups} == expected.keys()
        for number, group, first, last in groups:
            assert first <= number <= last
            assert {item for item, _ in seen[first - 1 : last]} == expected[group]


def test_neighbours_see_different_orders_and_everyone_the_same_again(page: Page) -> None:
    dice = random.Random(27)
    section = {"id": "A", "items": [{"id": f"A{n}", "type": "single"} for n in range(12)]}
    section["groups"] = [{"id": "G", "stem": "", "items": ["A3", "A4", "A5"]}]
    seeds = [dice.randbytes(32).hex() for _ in range(60)]
    body = """
      const shown = async (hex) => seen(await arranged(hex, { sections: [given[1]] })).join();
      return Promise.all([...given[0], ...given[0]].map(shown));
    """
    found = run(page, "order.js", ARRANGED + body, [seeds, section])

    assert found[:60] == found[60:]
    assert len(set(found)) == 60


@pytest.mark.parametrize("words", ["words", "room_words"])
def test_both_languages_say_everything(page: Page, words: str) -> None:
    body = f"const {{ en }} = await import('/web/{words}.en.js'); return [Object.keys(m.zh), Object.keys(en)]"
    chinese, english = run(page, f"{words}.zh.js", body)

    assert chinese == english


def test_stem_is_text_and_figures_only(page: Page) -> None:
    stem = "第一行\n<img src=x onerror=alert(1)> ![图](fig.png)\n[链接](javascript:1) ![缺](no.png)"
    body = """
      const host = document.createElement('div');
      const { html, render } = await import('/web/html.js');
      render(html`<${m.Stem} text=${given} figures=${new Map([['fig.png', { value: 'blob:fig' }]])} />`, host);
      return [host.querySelectorAll('img').length, host.querySelectorAll('a, script').length, host.textContent];
    """
    images, others, text = run(page, "stem.js", body, stem)

    assert (images, others) == (1, 0)
    assert "<img src=x onerror=alert(1)>" in text and "[链接](javascript:1)" in text and "no.png" in text
