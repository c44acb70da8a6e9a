"""Packages: papers sealed for one batch before they came here, and the shares by which such a batch is armed.

Promise: of a package's paper this process knows what its head says and no more. Shares go from the wire into a vault
and from there into the process that forgets (`sealer_jobs.py`): here are only the names of the witnesses, and the key
as the provider has wrapped it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request

from engine.rules import exact_json
from engine.rules.errors import Invalid, TryLater
from engine.rules.limits import (
    BLANKS_MAX,
    ID_PATTERN,
    ITEMS_MAX,
    OPTIONS_MAX,
    PAPER_BODY_BYTES_MAX,
    POINTS_MAX,
    SMALL_BODY_BYTES_MAX,
)
from engine.scheduling.forms import Form
from engine.scheduling.pinned import armed_batch_of, in_use, keep_answer_key
from engine.scheduling.sealer import Sealer
from engine.scheduling.sealer_jobs import CombineShares, ReadArming, SealedBatch
from engine.sealing import package
from engine.sealing.envelope import SealBroken
from engine.sealing.manifest import MAGIC
from engine.sealing.package import Package
from engine.sealing.secrets import SecretError
from engine.sealing.signature import key_id
from engine.stores import public_keys
from engine.stores.clock import now_ms
from engine.stores.postgres import Connection, Postgres, Record
from engine.stores.sql import Queries
from engine.vault import Vault, read_vault, wipe

_queries = Queries(__file__)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
PACKAGE_BYTES_MAX = PAPER_BODY_BYTES_MAX


def is_package(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == package.MEDIA_TYPE


def trusted_keys(file: str) -> list[dict[str, Any]] | None:
    """Whose packages are taken; None, for everybody's, when no file is named. Raises SecretError."""
    if not file:
        return None
    try:
        keys = json.loads(Path(file).read_bytes())["keys"]
        return [dict(entry) for entry in keys]
    except OSError as fault:
        raise SecretError(f"package keys {file}: {fault.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise SecretError(f"package keys {file}: expected an object with `keys`, as GET /v1/keys answers") from None


# --- coming in -------------------------------------------------------------------------------------------------


async def take_package(request: Request, trusted: Sequence[Mapping[str, Any]] | None) -> Package:
    """The package in a request's body. Raises Invalid `paper.invalid` unless it is whole, signed and usable."""
    body = await read_vault(request.scope, request.receive, PACKAGE_BYTES_MAX)
    try:
        found = await asyncio.to_thread(package.read_package, body.content(), trusted)  # digests of up to 64 MiB
        _check_usable(found)
    except SealBroken as fault:
        raise _invalid(str(fault)) from None
    finally:
        body.close()
    return found


def _check_usable(found: Package) -> None:
    """What a valid signature does not say."""
    if not ID_PATTERN.fullmatch(found.batch_id):
        raise SealBroken(f"the package is for batch {found.batch_id[:80]!r}, which is no id")
    if not 1 <= found.items <= ITEMS_MAX or len(found.index) != found.items:
        raise SealBroken(f"the package says {found.items} items and lists {len(found.index)}, at most {ITEMS_MAX}")
    if not 0 < found.points <= ITEMS_MAX * POINTS_MAX:
        raise SealBroken(f"the package says {found.points} points")
    for name in ("paper_digest", "answer_key_digest", "key_check"):
        if not _DIGEST.fullmatch(getattr(found, name)):
            raise SealBroken(f"the package's {name} is {getattr(found, name)[:80]!r}, expected 64 hex digits")
    if strange := [item for item in found.index if not ID_PATTERN.fullmatch(item)]:
        raise SealBroken(f"the package lists item {strange[0][:80]!r}, which is no id")
    if unusable := [item for item, entry in found.index.items() if not _is_usable(entry)]:
        raise SealBroken(f"the package's index tells of item {unusable[0]!r} what no item can be checked by")


def _is_usable(entry: Any) -> bool:
    """Whether responses can be checked by what an index tells of one item: what a readable paper's index would."""
    match entry:
        case {"type": "single" | "multiple", "options": list(options), **rest} if not rest:
            are_ids = all(isinstance(option, str) and ID_PATTERN.fullmatch(option) for option in options)
            return are_ids and 2 <= len(options) == len(set(options)) <= OPTIONS_MAX
        case {"type": "fill", "blanks": int(blanks), **rest} if not rest:
            return not isinstance(blanks, bool) and 1 <= blanks <= BLANKS_MAX
        case {"type": "true_false" | "numeric" | "text", **rest}:
            return not rest
    return False


async def store_package(database: Postgres, paper_id: str, found: Package, is_dry: bool = False) -> bool:
    """Keep it as it is; True when the paper is new. Raises Refused `paper.in_use`, TryLater without a grader."""
    async with database.transaction(is_dry_run=is_dry) as connection:
        recipient = await public_keys.answer_key_recipient(connection)
        if recipient is None:
            raise TryLater("no grader has registered its public key yet; start one, the package was not stored")
        if found.answer_key_recipient != key_id(recipient):
            raise _invalid(
                f"the answers are sealed to grader {found.answer_key_recipient}, expected {key_id(recipient)}"
            )
        stored = await connection.fetchrow(_queries.lock_packaged, paper_id)
        if stored is not None and stored["sealed_digest"] == found.sealed_digest:
            return False
        if batch_id := await armed_batch_of(connection, paper_id):
            raise in_use(paper_id, batch_id)
        await keep_answer_key(connection, found.paper_digest, found.answer_key_recipient, found.envelope)
        await connection.execute(
            _queries.put_packaged_paper,
            paper_id,
            found.paper_digest,
            found.items,
            found.points,
            package.index_bytes(found),
            found.answer_key_digest,
            found.answer_key_recipient,
            now_ms(),
        )
        await connection.execute(
            _queries.put_package,
            paper_id,
            found.batch_id,
            found.sealed_digest,
            found.sealed,
            found.key_check,
            found.signer["key_id"],
        )
    return stored is None


async def forget_package(connection: Connection, paper_id: str) -> None:
    """A plain paper has been pushed in its place."""
    await connection.execute(_queries.delete_package, paper_id)


def _invalid(message: str) -> Invalid:
    return Invalid("paper.invalid", [{"pointer": "", "message": message, "value": None}])


# --- arming ----------------------------------------------------------------------------------------------------


async def read_arming(request: Request, sealer: Sealer) -> tuple[Any, Vault | None]:
    """The body of an arming call without its shares, and the vault that holds these, to be closed; None without any."""
    body = await read_vault(request.scope, request.receive, SMALL_BODY_BYTES_MAX)
    content = body.content()
    if b'"shares"' not in content:
        body.close()
        return exact_json.decode(content), None
    wipe(content)
    try:
        rest = await sealer.read_arming(ReadArming(), body)
    except BaseException:
        body.close()
        raise
    return exact_json.decode(rest), body


async def package_of(connection: Connection, paper_id: str) -> Record | None:
    """The package that a paper came as, without its bytes but the first."""
    return await connection.fetchrow(_queries.find_package, paper_id)


def package_faults(forms: Sequence[Form], batch_id: str, shares: Vault | None) -> list[tuple[str, str]]:
    """What keeps a batch from being armed with those of its papers that are packages, and these shares."""
    faults = [fault for form in forms for fault in _package_faults(form, batch_id, shares is not None)]
    if shares is not None and all(form.package is None for form in forms):
        named = ", ".join(repr(form.paper_id) for form in forms)
        faults.append(("shares.unexpected", f"paper {named} was pushed readable: there are no shares of its key"))
    return faults


def _package_faults(form: Form, batch_id: str, has_shares: bool) -> list[tuple[str, str]]:
    found, paper_id = form.package, form.paper_id
    if found is None:
        return []
    if found["batch_id"] != batch_id:
        message = f"paper {paper_id!r} is a package for batch {found['batch_id']!r}, not for {batch_id!r}"
        return [("paper.batch", message)]
    if found["layout"] != MAGIC:
        message = f"paper {paper_id!r} is a package sealed by an earlier release: seal it again, and push that"
        return [("paper.content", message)]
    missing = f"paper {paper_id!r} is a package: hand in shares of its key (`./run paper arm`)"
    return [] if has_shares else [("shares.missing", missing)]


async def seal_packaged(
    connection: Connection,
    sealer: Sealer,
    batch_id: str,
    named: str,
    forms: Sequence[Form],
    form: Form,
    shares: Vault,
) -> SealedBatch:
    """The package's paper, its key put together and wrapped. Raises Refused `batch.not_ready` for shares that fail.

    The shares of all the batch's packages come in one call; those of others are passed over.
    """
    found = await connection.fetchrow(_queries.lock_package, form.paper_id)
    packages = [each.package["sealed_digest"] for each in forms if each.package is not None]
    others = tuple(digest for digest in packages if digest != found["sealed_digest"])
    job = CombineShares(batch_id, named, found["sealed_digest"], found["key_check"], others)
    wrapped = await sealer.combine_shares(job, shares)
    return SealedBatch(found["sealed"], found["sealed_digest"], wrapped)
