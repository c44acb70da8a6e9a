"""The published vectors in a real browser: the page's own module opens them by WebCrypto, and nothing that is wrong."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from engine.sealing import paper
from engine.sealing.signature import Signer
from tests import servers

VECTORS = json.loads((servers.ROOT / "schema" / "vectors" / "sealed-paper.json").read_text("utf-8"))
OPENED = """async (vectors) => {
  const { openSealed } = await import('/web/seal.js');
  const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const base64 = async (blob) => btoa(String.fromCharCode(...new Uint8Array(await blob.arrayBuffer())));
  const told = [];
  for (const { sealed, paper_key, batch_id } of vectors) {
    try {
      const { media, ...paper } = await openSealed(bytes(sealed), bytes(paper_key), batch_id);
      const blobs = await Promise.all(media.map(({ open }) => open()));
      const contents = await Promise.all(blobs.map(base64));
      const named = (values) => Object.fromEntries(media.map(({ name }, at) => [name, values[at]]));
      told.push({ ...paper, media: named(contents), media_types: named(blobs.map(({ type }) => type)) });
    } catch (fault) {
      told.push(`${fault.name}: ${fault.message}`);
    }
  }
  return told;
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, engine_up: servers.Engine) -> Iterator[Page]:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(engine_up.url)
        yield page


def test_every_published_vector_opens_by_webcrypto(page: Page) -> None:
    """Sections, and media as they were pushed: in one part, packed and stored. The page asks for no signature."""
    vectors = VECTORS["vectors"]
    told = page.evaluate(OPENED, vectors + VECTORS["forged"])

    assert told[: len(vectors)] == [vector["opened"] for vector in vectors]
    assert [paper["title"] for paper in told[len(vectors) :]] == ["图", "图"]


def test_no_published_counter_example_opens_by_webcrypto(page: Page) -> None:
    """Each for its own reason; nothing of it is shown."""
    names = [vector["name"] for vector in VECTORS["refused"]]
    told = dict(zip(names, page.evaluate(OPENED, VECTORS["refused"]), strict=True))

    assert {name: fault for name, fault in told.items() if not isinstance(fault, str)} == {}
    assert "part m0.1" in told["a digest changed in the manifest"]
    assert told["two chunks swapped, and their digests"].startswith("OperationError")


def test_the_text_opens_although_a_figure_does_not(page: Page) -> None:
    """The first question waits for no medium, and one that is broken takes nothing else with it."""
    (vector,) = [each for each in VECTORS["refused"] if each["name"] == "a chunk shortened, and its digest"]
    body = """async ({ sealed, paper_key, batch_id }) => {
      const { openSealed } = await import('/web/seal.js');
      const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
      const paper = await openSealed(bytes(sealed), bytes(paper_key), batch_id);
      const opened = await Promise.allSettled(paper.media.map(({ open }) => open()));
      return [paper.sections.map(({ id }) => id), opened.map(({ status }) => status)];
    }"""
    sections, media = page.evaluate(body, vector)

    assert sections == ["A", "B"]
    assert media == ["rejected", "fulfilled", "fulfilled"]


def test_a_large_figure_comes_out_of_its_chunks_byte_by_byte(page: Page) -> None:
    """Three parts of a mebibyte and a rest, out of one sealing."""
    content = bytes(range(256)) * (4096 * 3) + b"rest"
    media = {"big.png": base64.b64encode(content).decode()}
    whole: dict[str, Any] = {"title": "t", "sections": [{"id": "A", "title": "a", "items": []}], "media": media}
    sealed = paper.seal_paper("B", whole | {"media_types": {"big.png": "image/png"}}, bytes(32), Signer(bytes(32)))
    body = """async (sealed) => {
      const { openSealed, bytesOf, hex } = await import('/web/seal.js');
      const [{ open }] = (await openSealed(bytesOf(sealed), new Uint8Array(32), 'B')).media;
      const blob = await open();
      return [blob.size, blob.type, hex(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()))];
    }"""
    told = page.evaluate(body, base64.b64encode(sealed).decode())

    assert told == [len(content), "image/png", paper.sealed_digest(content)]


def test_a_figure_appears_when_it_is_open_and_says_so_when_it_is_not(page: Page) -> None:
    """The stem is drawn before: its figures come one after another, and a broken one is named, not left blank."""
    body = """async () => {
      const { Enlargers, figureUrls, Stem } = await import('/web/stem.js');
      const { html, render } = await import('/web/html.js');
      const host = document.body.appendChild(document.createElement('div'));
      const gates = [Promise.withResolvers(), Promise.withResolvers()];
      let opened = 0;
      const media = gates.map(({ promise }, at) => ({ name: `${at}.png`, open: () => ((opened += 1), promise) }));
      const figures = figureUrls(media, new AbortController().signal);
      const text = '![一](0.png)![二](1.png)';
      const given = { text, figures, small: true, letter: 'A' };
      render(html`<${Stem} ...${given} /><${Enlargers} ...${given} />`, host);
      const sources = () => [...host.querySelectorAll('img')].map(({ src }) => src.split(':')[0]);
      const seen = () => [opened, ...sources(), host.querySelectorAll('.enlarger').length, host.textContent];
      const drawn = async () => (await new Promise((done) => setTimeout(done, 100)), seen());
      const told = [await drawn()];
      gates[0].resolve(new Blob(['x']));
      told.push(await drawn());
      gates[1].reject(new Error('broken'));
      told.push(await drawn());
      host.remove();
      return told;
    }"""
    before, one, both = page.evaluate(body)

    assert before[:4] == [1, "", "", 0]
    assert one[:4] == [2, "blob", "", 1]
    assert both[:3] == [2, "blob", 1] and len(both) == 4 and "1.png" in both[3]
