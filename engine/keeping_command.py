"""The words of `./run archive` and `./run verify`; what they do is `keeping/`, imported only when it is asked for."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path


def archive_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("batch", help="its id; it has to be closed and graded")
    made.add_argument("--out", type=Path, metavar="FILE", help="default BATCH.archive.zip in this folder")


def purge_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "batch", help="its id; three years after it closed its answers go, five years after it everything"
    )
    held = "a valid archive of it as it is now; or, but for erased answers, as it was"
    made.add_argument("--archive", required=True, type=Path, metavar="FILE", help=held)
    made.add_argument("--keys", required=True, metavar="FILE", help="the reply of GET /v1/keys")
    made.add_argument("--dry-run", action="store_true", help="only say what would go")


def verify_arguments(made: argparse.ArgumentParser) -> None:
    made.add_argument("kind", choices=("receipt", "result", "archive"))
    made.add_argument("file", type=Path, help="the receipt or result as it was received; an archive as it was made")
    made.add_argument("--keys", required=True, metavar="FILE", help="the reply of GET /v1/keys")
    made.add_argument(
        "--grader-key",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="of an archive: grader.key, or an opened answer key as JSON; every score is made once more",
    )


def archive(chosen: argparse.Namespace) -> list[str]:
    """The lines to show. Raises KeepingFault."""
    from engine import settings
    from engine.keeping.archive import archive
    from engine.sealing import secrets
    from engine.sealing.signature import Signer

    configured = settings.load()
    signer = Signer(secrets.read(configured.secrets_dir, "archive.key"))
    path = chosen.out or Path(f"{chosen.batch}.archive.zip")
    made = asyncio.run(archive(configured.postgres_dsn, chosen.batch, signer, path))
    lines = [f"{made.path}: {made.rows} rows, {made.bytes} bytes, content {made.digest}"]
    if made.answers_in:
        lines.append(f"without the answers, which were erased and are in the archive of content {made.answers_in}")
    return lines


def purge(chosen: argparse.Namespace) -> list[str]:
    """The lines to show. Raises KeepingFault."""
    from engine import settings
    from engine.keeping.bundle import KeepingFault
    from engine.keeping.purge import purge, shown
    from engine.sealing import secrets, verify
    from engine.sealing.signature import Signer
    from engine.stores.memory import Memory

    configured = settings.load()
    signer = Signer(secrets.read(configured.secrets_dir, "archive.key"))
    try:
        keys = verify.read_keys(chosen.keys)
    except verify.NotKeys as fault:
        raise KeepingFault(str(fault)) from None

    async def purged() -> list[str]:
        memory = Memory(configured.redis_url, configured.partitions)
        try:
            return shown(
                await purge(
                    configured.postgres_dsn,
                    memory,
                    chosen.batch,
                    signer,
                    chosen.archive,
                    keys,
                    is_dry_run=chosen.dry_run,
                )
            )
        finally:
            await memory.close()

    return asyncio.run(purged())


def verify_archive(chosen: argparse.Namespace) -> tuple[bool, list[str]]:
    """Whether it is valid, and the lines to show."""
    from engine.keeping.audit import audit
    from engine.keeping.bundle import KeepingFault
    from engine.sealing import secrets, verify

    try:
        opening = [secrets.read_file(file) for file in chosen.grader_key]
        faults, checked = audit(chosen.file, verify.read_keys(chosen.keys), opening)
    except (KeepingFault, verify.NotKeys) as fault:
        faults, checked = [str(fault)], ""
    if faults:
        return False, [f"not valid: {fault}" for fault in faults]
    return True, [f"valid: archive of {checked}"]


COMMANDS = {
    "archive": (archive_arguments, archive, "everything of a graded batch in one signed bundle"),
    "purge": (purge_arguments, purge, "erase what need not be kept any more of a batch"),
}
