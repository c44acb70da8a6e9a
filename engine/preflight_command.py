"""The words of `./run preflight`, and how its parts come together; what is looked at is `preflight/`.

Exit codes: 0 nothing is red (green or amber), 1 something is red, 2 it could not run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from engine.argument_types import certificates, new_file, url
from engine.settings import Settings, SettingsError


def arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("--batch", metavar="ID", help="of batches only this one; otherwise those of the coming days")
    made.add_argument(
        "--days", type=_days, default=3, metavar="N", help="how far ahead batches are looked at; default 3"
    )
    made.add_argument(
        "--url", type=url, action="append", default=[], metavar="URL", help="a node; once for each of them"
    )
    made.add_argument(
        "--ready-file", type=Path, metavar="FILE", help="of an engine that `up` brought up: its URL and keys"
    )
    made.add_argument("--data", type=Path, metavar="DIR", help="of an embedded engine: in place of settings and keys")
    made.add_argument("--schedule-key", metavar="KEY", help="an API key of scope schedule, for the canary")
    made.add_argument("--results-key", metavar="KEY", help="of scope results, for the canary")
    made.add_argument("--ops-key", metavar="KEY", help="of scope ops: versions, keys and clocks of all workers")
    made.add_argument("--share", type=Path, action="append", default=[], metavar="FILE", help="a share that is at hand")
    made.add_argument("--ca", type=certificates, metavar="FILE", help="root certificate of your own, for https")
    made.add_argument(
        "--accept", action="append", default=[], metavar="CHECK[:ID]", help="roster or batches: known and meant"
    )
    made.add_argument("--no-canary", action="store_true", help="send nobody through; that is amber")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else")
    made.add_argument("--html", type=new_file, metavar="FILE", help="also a page to print and sign")


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 60:
        raise argparse.ArgumentTypeError(f"{text!r}: expected days from 1 to 60")
    return int(text)


def run(chosen: argparse.Namespace) -> int:
    """Look at everything and tell it; the exit code. Raises SettingsError for what cannot be used."""
    from engine.preflight import finding, report
    from engine.stores.clock import CHINA, now_ms

    ready = _ready(chosen.ready_file, chosen.data)
    settings = _settings(chosen.data)
    urls = chosen.url or [ready["url"] or _own_url(settings)]
    keys = {
        scope: getattr(chosen, f"{scope}_key") or ready["keys"].get(scope, "")
        for scope in ("schedule", "results", "ops")
    }
    try:
        finding.accept([], chosen.accept)
    except ValueError as fault:
        raise SettingsError(f"--accept {fault}") from None
    found = finding.accept(asyncio.run(_look(chosen, settings, urls, keys)), chosen.accept)
    made_at = f"{datetime.fromtimestamp(now_ms() / 1000, CHINA):%Y-%m-%d %H:%M}"
    made = report.Report(made_at=made_at, urls=urls, findings=found, days=chosen.days, batch_id=chosen.batch)
    told = json.dumps(report.as_json(made), ensure_ascii=False, indent=1) if chosen.json else report.as_text(made)
    sys.stdout.write(told + "\n")
    if chosen.html:
        _write(chosen.html, report.as_html(made))
    return finding.exit_code(found)


async def _look(chosen: argparse.Namespace, settings: Settings, urls: list[str], keys: dict[str, str]) -> list[Any]:
    from engine.preflight import preflight
    from engine.preflight.ask_nodes import Caller

    asked = preflight.Asked(
        settings=settings,
        urls=tuple(urls),
        caller=Caller(keys["ops"], Path(chosen.ca) if chosen.ca else None),
        batch_id=chosen.batch,
        days=chosen.days,
        data=chosen.data,
        shares=tuple(chosen.share),
    )
    found = await preflight.look(asked)
    return [*found, *await _canaries(chosen, urls, keys)]


async def _canaries(chosen: argparse.Namespace, urls: Sequence[str], keys: dict[str, str]) -> list[Any]:
    """One candidate through each node, after everything else: what is known to be broken by then tells why."""
    from engine.preflight.nodes import judge_canary, judge_no_canary
    from loadtest import canary

    if chosen.no_canary:
        return [judge_no_canary("--no-canary", "--no-canary")]
    if not keys["schedule"] or not keys["results"]:
        return [judge_no_canary("没有给出密钥", "its keys were not given")]
    flown = await canary.fly(urls, keys["schedule"], keys["results"], chosen.ca)
    return [judge_canary(url, flight.as_json()) for url, flight in zip(urls, flown, strict=True)]


def _ready(file: Path | None, data: Path | None) -> dict[str, Any]:
    """URL and API keys as the ready file has them; without one, the keys that an embedded engine made itself."""
    kept = data / "secrets" / "api-keys.json" if data else None
    try:
        if file is not None:
            ready = json.loads(file.read_text("utf-8"))
            return {"url": ready["url"], "keys": dict(ready["keys"])}
        return {"url": "", "keys": dict(json.loads(kept.read_text("utf-8"))) if kept and kept.exists() else {}}
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise SettingsError(f"{file or kept}: {fault}") from None


def _settings(data: Path | None) -> Settings:
    """As configured; with `data`, as the embedded engine there has them."""
    from engine import settings
    from engine.supervision import up

    chosen = settings.load()
    if data is None:
        return chosen
    if not (data / "secrets").is_dir():
        raise SettingsError(f"--data {data}: expected the folder of an embedded engine")
    return msgspec.structs.replace(chosen, **up.embedded_settings(data.absolute()))


def _own_url(settings: Settings) -> str:
    from engine.supervision import up

    return up.url(settings)


def _write(file: Path, page: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, "utf-8")
    except OSError as fault:
        raise SettingsError(f"--html {file}: {fault.strerror}") from None
