"""axe-core over what a tab shows: WCAG 2.2, levels A and AA."""

from __future__ import annotations

from typing import cast

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

LEVELS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
# The newest rules are off unless asked for by name.
ASKED_FOR = ("target-size",)
_RUN = """async (options) => {
  const { violations, passes } = await axe.run(document, options);
  const faults = violations.flatMap(({ id, help, nodes }) => nodes.map((node) =>
    `${id} (${help}): ${node.target.join(' ')} ${node.html.slice(0, 160)}\\n${node.failureSummary}`));
  return { faults, held: passes.map(({ id }) => id) };
}"""


def faults_of(page: Page, *rules: str) -> list[str]:
    """Every element at fault, named; of all rules, or only of `rules`. Fails where nothing was looked at."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE_SCRIPT + ";undefined")
    chosen = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": LEVELS}
    asked_for = {name: {"enabled": True} for name in ASKED_FOR if not rules}
    found = page.evaluate(
        _RUN, {"runOnly": chosen, "rules": asked_for, "resultTypes": ["violations"], "iframes": False}
    )
    assert found["held"] or found["faults"], "axe-core looked at nothing"
    return cast("list[str]", found["faults"])
