"""Starts Locust with a plan: headless, or with its own pages; alone, or as one of several machines.

    python -m loadtest.swarm --plan FILE --index I --of N --out DIR [--ui [PORT]]
    python -m loadtest.swarm --plan FILE --out DIR --master --workers N [--bind HOST[:PORT]] [--ui [PORT]]
    python -m loadtest.swarm --plan FILE --out DIR --worker HOST[:PORT]

This process becomes Locust: its id and its streams stay. Stdout has a JSON object a second, stderr Locust's tables; it
ends with 0 once the last candidate is done and `DIR/swarm-I.json` and `DIR/swarm-I.ledger` are written, whatever was
measured; 1 where a worker's files have not come; 2 where it could not begin.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
from pathlib import Path

LOCUSTFILE = Path(__file__).parent / "locustfile.py"
ROOT = LOCUSTFILE.parent.parent.parent
UI_PORT = 8089
MASTER_PORT = 5557
UI_STAYS_S = 1


def main(arguments: list[str] | None = None) -> int:
    args = _read_arguments(arguments)
    if not Path(args.plan).is_file():
        print(f"swarm: --plan {args.plan}: there is no such file", file=sys.stderr)
        return 2
    _raise_open_files()
    path = os.environ.get("PYTHONPATH", "")
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{path}" if path else str(ROOT), "PYTHONSAFEPATH": "1"}
    Path(args.out).mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "locust", *locust_arguments(args)]
    os.execve(sys.executable, command, environ)


def locust_arguments(args: argparse.Namespace) -> list[str]:
    """What Locust is told."""
    told = [
        "-f",
        str(LOCUSTFILE),
        "--plan",
        args.plan,
        "--out",
        args.out,
        "--index",
        str(args.index),
        "--of",
        str(args.of),
    ]
    told += ["--loglevel", args.loglevel, "--only-summary"]
    if args.worker:
        host, port = _address(args.worker)
        return [*told, "--worker", "--master-host", host, "--master-port", port]
    if args.master:
        host, port = _address(args.bind)
        told += [
            "--master",
            "--expect-workers",
            str(args.workers),
            "--master-bind-host",
            host,
            "--master-bind-port",
            port,
        ]
    name = "swarm" if args.master else f"swarm-{args.index}"
    told += ["--html", str(Path(args.out) / f"{name}.html")]
    if args.ui is None:
        return [*told, "--headless"]
    port = str(args.ui + args.index)
    print(f"swarm: Locust's own pages: http://127.0.0.1:{port}", file=sys.stderr, flush=True)
    return [*told, "--autostart", "--autoquit", str(UI_STAYS_S), "--web-host", "127.0.0.1", "--web-port", port]


def _read_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.swarm", description="A plan's candidates in Locust.")
    parser.add_argument("--plan", required=True, help="the plan that all generators read")
    parser.add_argument("--out", required=True, help="where report, ledger and Locust's HTML go")
    parser.add_argument("--index", type=int, default=0, help="which share of the plan, from 0")
    parser.add_argument("--of", type=int, default=1, help="how many shares there are")
    parser.add_argument(
        "--ui", type=int, nargs="?", const=UI_PORT, help=f"show Locust's pages, on this port ({UI_PORT})"
    )
    parser.add_argument("--loglevel", default="WARNING", help="of Locust (default WARNING)")
    side = parser.add_mutually_exclusive_group()
    side.add_argument("--master", action="store_true", help="play nobody; gather what --workers note")
    side.add_argument("--worker", metavar="HOST[:PORT]", help="play the share that this master gives")
    parser.add_argument("--workers", type=int, default=1, help="how many workers the master waits for")
    parser.add_argument("--bind", default="127.0.0.1", metavar="HOST[:PORT]", help=f"where it does (…:{MASTER_PORT})")
    args = parser.parse_args(arguments)
    if not 0 <= args.index < args.of:
        parser.error(f"--index {args.index} --of {args.of}: expected an index from 0 to {args.of - 1}")
    return args


def _address(text: str) -> tuple[str, str]:
    host, _, port = text.partition(":")
    return host, port or str(MASTER_PORT)


def _raise_open_files() -> None:
    """As many as this user may have open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
