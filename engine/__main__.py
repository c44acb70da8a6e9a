"""The command line: which process this is. Knows names and arguments only; each role is imported when it is chosen.

A fault that a person can mend is one line on stderr: exit 2 for settings and arguments, 1 for everything else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from engine import keeping_command, load_command, paper_command, preflight_command
from engine.argument_types import count, minutes, natural, port, seconds

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
SCOPES = ("schedule", "results", "proctor", "ops")
DESCRIPTION = (
    "Liankao (联考): an online exam engine. Its roles are `serve`, `record`, `grade`, `deliver`; `up` runs all."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    from engine.sealing.secrets import SecretError
    from engine.settings import SettingsError

    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["test"]:  # everything behind these two is pytest's
        return run_tests(given[1:])
    if given[:2] == ["bench", "functions"]:
        return run_bench_functions(given[2:])
    chosen = parser().parse_args(given)
    try:
        code = int(chosen.run(chosen))
        sys.stdout.flush()
        return code
    except (SettingsError, SecretError) as fault:
        return told(fault, 2)
    except CommandFault as fault:
        return told(fault, 1)
    except BrokenPipeError:  # whoever read our words has had enough of them, as `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """All commands; `run` holds what each does."""
    top = argparse.ArgumentParser(prog="run", description=DESCRIPTION)
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    serve = command("serve", run_serve, "the worker: browser clients, scheduling, results over HTTP")
    serve.add_argument("--when-ready", action="store_true", help="take no connection before everything needed is there")
    command("record", run_record, "the recorder: from Redis to PostgreSQL; closes what has ended")
    command("grade", run_grade, "the grader: the only process that opens answer keys")
    command("deliver", run_deliver, "the courier: sends published results to webhooks")
    _up_arguments(command("up", run_up, "all of them together, restarted when they end"))
    _demo_arguments(command("demo", run_demo, "a whole exam on this machine, with a crowd, to look at and try"))
    command("migrate", run_migrate, "bring the configured database to this version's schema")
    _key_arguments(command("key", run_key, "API keys of machine clients"))
    _secrets_arguments(command("secrets", run_secrets, "the engine's own key files"))
    paper_command.arguments(command("paper", run_paper, "seal a paper away from any server, split its key, check, arm"))
    for name, (arguments, act, what) in keeping_command.COMMANDS.items():
        arguments(command(name, partial(run_keeping, act), what))
    keeping_command.verify_arguments(command("verify", run_verify, "check a receipt, a result or an archive, offline"))
    for name, (arguments, run, what) in load_command.COMMANDS.items():
        arguments(command(name, run, what))
    text = "the day before a joint exam: is everything ready for it"
    preflight_command.arguments(command("preflight", preflight_command.run, text))
    openapi = command("openapi", run_openapi, "print the API's description (OpenAPI 3.1)")
    openapi.add_argument("--write", action="store_true", help="write schema/openapi.json instead")
    command("test", lambda chosen: run_tests([]), "every test, on fresh servers; further arguments are pytest's")
    command("check", run_check, "ruff and mypy")
    _bench_arguments(command("bench", run_bench, "what one operation costs, beside its floor and its goal"))
    return top


def _up_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("--embedded", action="store_true", help="start PostgreSQL and Valkey, too")
    made.add_argument("--data", type=Path, metavar="DIR", help="with --embedded: where everything is kept")
    made.add_argument("--port", type=port, help="instead of LIANKAO_PORT")
    made.add_argument("--workers", type=count, metavar="K", help="instead of LIANKAO_WORKERS")
    made.add_argument("--ready-file", type=Path, metavar="FILE", help="written once it takes traffic, then kept true")


def _demo_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("--port", type=port, help="default 8000, or LIANKAO_PORT")
    made.add_argument("--data", type=Path, metavar="DIR", help="default .liankao beside `run`")
    made.add_argument(
        "--candidates",
        type=natural,
        default=40,
        metavar="N",
        help="simulated ones; default 40, 0 for none",
    )
    made.add_argument(
        "--minutes",
        type=minutes,
        default=10.0,
        metavar="M",
        help="the crowd answers for that long; default 10",
    )


def _key_arguments(made: argparse.ArgumentParser) -> None:
    acts = made.add_subparsers(metavar="create|list|revoke", required=True, dest="act")
    create = acts.add_parser("create", help="make a key and print it, once")
    create.add_argument("--scope", required=True, choices=SCOPES)
    create.add_argument("--label", default="", help="whose it is")
    acts.add_parser("list", help="all keys, revoked ones included; never their text")
    revoke = acts.add_parser("revoke", help="end a key")
    revoke.add_argument("key_id")


def _secrets_arguments(made: argparse.ArgumentParser) -> None:
    acts = made.add_subparsers(metavar="create|public", required=True, dest="act")
    create = acts.add_parser("create", help="make the missing key files; never touches existing ones")
    public = acts.add_parser("public", help="print the public halves of those that have one, as JSON")
    for act in (create, public):
        act.add_argument("--dir", type=Path, metavar="DIR", help="instead of LIANKAO_SECRETS_DIR")


def _bench_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "functions", nargs="?", choices=("functions",), help="time single functions; further arguments are pytest's"
    )
    made.add_argument("--json", action="store_true", help="rows as JSON on stdout, nothing else")
    made.add_argument("--only", metavar="NAME[,NAME]", help="these measures; a wrong name lists them all")
    made.add_argument("--seconds", type=seconds, default=3.0, metavar="S", help="per round; default 3")
    made.add_argument("--rounds", type=count, default=3, metavar="R", help="floor and engine take turns; default 3")
    made.add_argument("--connections", type=count, default=256, metavar="C", help="saves under way; default 256")
    made.add_argument("--sittings", type=count, default=5000, metavar="N", help="candidates who answer; default 5000")
    made.add_argument("--workers", type=count, default=1, metavar="K", help="of the engine measured; default 1")
    made.add_argument("--page", action="store_true", help="the candidate's page in a browser, behind a shaped line")
    made.add_argument("--full", action="store_true", help="also what takes many minutes and all of the machine")
    made.add_argument("--minutes", type=minutes, default=10.0, metavar="M", help="what is held is held so long")


# --- roles -----------------------------------------------------------------------------------------------------


def run_serve(chosen: argparse.Namespace) -> int:
    from engine import serve, settings

    serve.serve(settings.load(), chosen.when_ready)
    return 0


def run_record(chosen: argparse.Namespace) -> int:
    from engine import settings
    from engine.recording import process

    process.record(settings.load())
    return 0


def run_grade(chosen: argparse.Namespace) -> int:
    from engine import settings
    from engine.scoring import process

    process.grade(settings.load())
    return 0


def run_deliver(chosen: argparse.Namespace) -> int:
    from engine import settings
    from engine.courier import process

    process.deliver(settings.load())
    return 0


def run_up(chosen: argparse.Namespace) -> int:
    from engine.supervision import up

    if chosen.embedded and chosen.data is None:
        return told("up --embedded: say where the data are kept: --data DIR", 2)
    if chosen.data is not None and not chosen.embedded:
        return told(
            "up --data: only with --embedded; otherwise LIANKAO_POSTGRES_DSN and LIANKAO_REDIS_URL say where", 2
        )
    return up.main(chosen.data, chosen.port, chosen.workers, chosen.ready_file)


def run_demo(chosen: argparse.Namespace) -> int:
    from engine.supervision import demo

    return demo.main(chosen.data or ROOT / ".liankao", chosen.port, chosen.candidates, chosen.minutes)


# --- administration --------------------------------------------------------------------------------------------


def run_migrate(chosen: argparse.Namespace) -> int:
    from engine import settings
    from engine.stores import migrations

    applied = administer(migrations.migrate(settings.load().postgres_dsn))
    print("\n".join(applied) or "up to date")
    return 0


def run_key(chosen: argparse.Namespace) -> int:
    from engine import settings
    from engine.stores import api_keys

    dsn = settings.load().postgres_dsn
    if chosen.act == "create":
        print(administer(api_keys.create(dsn, chosen.scope, chosen.label)))
    elif chosen.act == "list":
        for row in administer(api_keys.listing(dsn)):
            print(key_line(row))
    elif not administer(api_keys.revoke(dsn, chosen.key_id)):
        return told(f"no key {chosen.key_id} in force; `./run key list` shows all", 1)
    return 0


def key_line(row: Mapping[str, Any]) -> str:
    """One key in one line, without its text, which nobody has."""
    state = "revoked" if row["revoked_ms"] else "in force"
    made = datetime.fromtimestamp(row["created_ms"] / 1000, UTC)
    return f"{row['key_id']}  {row['scope']:<8}  {state:<8}  {made:%Y-%m-%d %H:%M}Z  {row['label']}"


def run_secrets(chosen: argparse.Namespace) -> int:
    from engine import ceremony, settings
    from engine.sealing import secrets

    folder = chosen.dir or Path(settings.load().secrets_dir)
    if chosen.act == "public":
        print(json.dumps({"keys": ceremony.public_halves(folder)}, indent=1))
        return 0
    try:
        made = secrets.create(folder)
    except OSError as fault:
        return told(f"{fault.filename}: {fault.strerror}", 1)
    chosen_settings = settings.load()
    if chosen_settings.key_provider == "pkcs11":
        from engine.sealing import hsm

        is_new = hsm.create_key(chosen_settings)
        print(f"token {chosen_settings.pkcs11_token}: {'made' if is_new else 'kept'} key {chosen_settings.pkcs11_key}")
    print(f"{folder}: made {len(made)} key files, kept {len(secrets.NAMES) - len(made)}")
    return 0


def run_paper(chosen: argparse.Namespace) -> int:
    from engine.ceremony import CeremonyFault

    try:
        print("\n".join(paper_command.run(chosen)))
    except CeremonyFault as fault:
        return told(f"paper {chosen.act}: {fault}", 1)
    return 0


def run_verify(chosen: argparse.Namespace) -> int:
    from engine.sealing import verify

    if chosen.kind == "archive":
        is_valid, lines = keeping_command.verify_archive(chosen)
        print("\n".join(lines), file=sys.stderr)
        return 0 if is_valid else 1
    if chosen.grader_key:
        return told(f"verify {chosen.kind}: --grader-key is for archives", 2)
    return verify.main(chosen.kind, str(chosen.file), chosen.keys)


def run_keeping(act: Callable[[argparse.Namespace], list[str]], chosen: argparse.Namespace) -> int:
    """What archives or erases, with one line instead of a driver's traceback."""
    from engine.keeping.bundle import KeepingFault

    try:
        print("\n".join(act(chosen)))
    except KeepingFault as fault:
        return told(fault, 1)
    except OSError as fault:
        return told(f"{type(fault).__name__}: {fault} (LIANKAO_POSTGRES_DSN names the database)", 1)
    return 0


def run_openapi(chosen: argparse.Namespace) -> int:
    from engine import openapi

    text = json.dumps(openapi.document(), ensure_ascii=False, indent=1) + "\n"
    if chosen.write:
        (ROOT / "schema" / "openapi.json").write_text(text, "utf-8")
    else:
        sys.stdout.buffer.write(text.encode())
    return 0


def administer(work: Coroutine[Any, Any, T]) -> T:
    """Run one database act. Raises CommandFault with one line instead of a driver's traceback."""
    try:
        return asyncio.run(work)
    except Exception as fault:
        where = "LIANKAO_POSTGRES_DSN names the database"
        raise CommandFault(f"{type(fault).__name__}: {fault} ({where})") from fault


# --- development -----------------------------------------------------------------------------------------------


def run_tests(arguments: Sequence[str]) -> int:
    """pytest on everything, file by file in parallel; when files are named, on those alone, in one process."""
    is_whole = not any(Path(part.split("::")[0]).exists() for part in arguments)
    # One more than processors: the long tests wait for clocks most of their time.
    processes = str(min(6, (os.cpu_count() or 2) + 1))
    parallel = ["-n", processes, "--dist", "loadfile", "--no-loadscope-reorder"] if is_whole else []
    return _become_pytest([*parallel, *_absolute(arguments)])


def run_bench(chosen: argparse.Namespace) -> int:
    from bench import command

    return command.main(chosen)


def run_bench_functions(arguments: Sequence[str]) -> int:
    """The function benches, alone on the machine's time: one process, nothing else of pytest's output."""
    kept = ROOT / ".benchmarks"
    kept.mkdir(exist_ok=True)
    asked = any(part.startswith("--benchmark-json") for part in arguments)
    json_file = [] if asked else [f"--benchmark-json={kept / 'functions.json'}"]
    found = ["-o", "python_files=bench_*.py", "-o", "testpaths=bench"]
    return _become_pytest(["-q", *found, *json_file, *_absolute(arguments)])


def _absolute(arguments: Sequence[str]) -> list[str]:
    """Files as the caller named them, before we leave the caller's folder."""
    return [str(Path(part).resolve()) if Path(part.split("::")[0]).exists() else part for part in arguments]


def _become_pytest(arguments: Sequence[str]) -> int:
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])


def run_check(chosen: argparse.Namespace) -> int:
    """Every checker, also after one has failed."""
    tools = [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]]
    codes = [subprocess.run([sys.executable, "-m", *tool], cwd=ROOT).returncode for tool in tools]
    return max(codes)


class CommandFault(Exception):
    """What a command could not do, in one line."""


def told(fault: object, code: int) -> int:
    print(f"run: {fault}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
