"""The page in one file: the same modules, each once, and whoever comes later meets them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from engine.web.bundle import bundle
from tests import servers


def test_modules_run_before_what_imports_them() -> None:
    whole, addresses = bundle(
        "a.js",
        {
            "a.js": b"import { b as c } from './v/b.js';\nimport * as d from './d.js';\nexport const a = c + d.one;\n",
            "v/b.js": b'import{one as t}from"../d.js";var n=t;export{n as b};',
            "d.js": b"export const one = 1;\n",
        },
    )

    text = whole.decode()
    assert text.index("modules['d.js']=") < text.index("modules['v/b.js']=") < text.index("modules['a.js']=")
    assert "const { b: c } = modules['v/b.js'];" in text and "const d = modules['d.js'];" in text
    assert addresses["v/b.js"].decode().startswith("import { modules } from '../a.js';")


def test_circle_of_modules_is_named() -> None:
    circle = {"a.js": b"import './b.js';", "b.js": b"import './a.js';"}

    with pytest.raises(ValueError, match=r"a\.js -> b\.js -> a\.js"):
        bundle("a.js", circle)


def test_missing_module_is_named() -> None:
    with pytest.raises(ValueError, match=r"a\.js imports b\.js"):
        bundle("a.js", {"a.js": b"import './b.js';"})


@pytest.mark.parametrize("form", ["export let a = 1;", "export default function () {}\nexport * from './a.js';"])
def test_form_that_cannot_be_bundled_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="does not know the form"):
        bundle("a.js", {"a.js": form.encode()})


def test_module_fetched_later_meets_the_state_of_the_page(browser: Browser, engine_up: servers.Engine) -> None:
    with browser.new_context(bypass_csp=True) as context:
        page = context.new_page()
        page.goto(engine_up.url)
        page.get_by_label("考试口令").wait_for()
        shared = page.evaluate(
            """async () => {
              const started = document.querySelector('script[type=module]').src;
              const { modules } = await import(started);
              const { link } = await import(new URL('./api.js', started));
              return link === modules['api.js'].link;
            }"""
        )

    assert shared is True
