"""`./run paper`: a paper is sealed, its key split, checked and used, on a machine that needs no server.

Promise: the readable paper and its key are in this process and where the person says, nowhere else; a passphrase comes
from the terminal or a file, never from the command line; what exists is never written over. Each act returns the lines
to show and raises CeremonyFault with one that says what was expected.
"""

from __future__ import annotations

import base64
import binascii
import getpass
import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.rules import exact_json
from engine.rules.errors import ExamError, Invalid
from engine.rules.limits import ID_PATTERN
from engine.rules.question_set import QuestionSet, read_question_set
from engine.sealing import answer_key, manifest, package, paper, secrets, shares
from engine.sealing.envelope import KEY_BYTES, SealBroken
from engine.sealing.package import Package
from engine.sealing.signature import Signer, shown_key

_RECIPIENT_ALGORITHM = "X25519"
_SEALED_PAPER = b"LKP"  # of whatever release: an older one's is told from what is no sealed paper at all
_CALL_S = 60


class CeremonyFault(Exception):
    """What could not be done, and why; one line, or one per fault of a paper."""


# --- the acts --------------------------------------------------------------------------------------------------


def seal(
    paper_file: Path,
    batch_id: str,
    grader_key_file: Path,
    signing_key_file: Path,
    package_file: Path,
    key_file: Path | None,
    split: tuple[int, int],
    folder: Path | None,
    passphrases_file: Path | None,
) -> list[str]:
    """Seal a question set for one batch; its key goes into `key_file`, or split into `folder`."""
    if (key_file is None) == (folder is None):
        raise CeremonyFault("say where the key goes: --shares-to DIR (and --split K/N, else 2/3), or --key-to FILE")
    if not ID_PATTERN.fullmatch(batch_id):
        raise CeremonyFault(f"--batch {batch_id!r}: expected 1 to 64 characters of A-Z a-z 0-9 . _ -")
    if package_file.exists():
        raise CeremonyFault(f"{package_file} exists; nothing is written over")  # before any share is handed out
    question_set = _question_set(paper_file)
    signer = _signer(signing_key_file)
    paper_key = secrets.random_bytes(KEY_BYTES)
    content = package.make_package(batch_id, question_set, paper_key, _recipient(grader_key_file), signer)
    made = package.read_package(content)
    told = []
    if folder is not None:
        told = _hand_out(paper_key, made, split, folder, passphrases_file)
    elif key_file is not None:
        _write(key_file, paper_key, 0o600)
        told = [f"key      {key_file}: split it, then destroy it"]
    _write(package_file, content, 0o644)
    return [f"package  {package_file}", *_described(made), *told]


def split(
    key_file: Path, package_file: Path, parts: tuple[int, int], folder: Path, passphrases_file: Path | None
) -> list[str]:
    """Split a key that lies in a file."""
    paper_key = _read(key_file)
    if len(paper_key) != KEY_BYTES:
        raise CeremonyFault(f"{key_file} holds {len(paper_key)} bytes, expected the {KEY_BYTES} of a paper key")
    told = _hand_out(paper_key, _package(package_file), parts, folder, passphrases_file)
    return [*told, f"destroy {key_file} now"]


def verify(
    package_file: Path, keys_file: Path | None, share_files: Sequence[Path], passphrases_file: Path | None
) -> list[str]:
    """What a package holds, without showing content; with shares, that they open it. Or what a sealed paper holds."""
    if _read(package_file).startswith(_SEALED_PAPER):
        return _sealed_paper(package_file, keys_file, share_files)
    found = _package(package_file, keys_file)
    told = [*_described(found), f"trusted  {'yes' if keys_file else 'not asked: --keys FILE names whom to trust'}"]
    if share_files:
        opened = _opened(share_files, passphrases_file)
        try:
            paper_key = shares.combine_shares(opened, found.sealed_digest, found.batch_id, found.key_check)
            paper.open_paper(found.batch_id, found.sealed, paper_key)
        except SealBroken as fault:
            raise CeremonyFault(str(fault)) from None
        told.append(f"shares   {', '.join(str(share.index) for share in opened)} open it")
    return told


def arm(
    url: str, api_key_file: Path, share_files: Sequence[Path], passphrases_file: Path | None, witnesses: Sequence[str]
) -> list[str]:
    """Open shares here and arm their batch with them."""
    batch_ids = {_batch_of(file) for file in share_files}
    if len(batch_ids) != 1:
        raise CeremonyFault(f"the shares are for batches {', '.join(sorted(batch_ids))}, expected one")
    (batch_id,) = batch_ids
    opened = [vars_of(share) for share in _opened(share_files, passphrases_file)]
    body = {"witnesses": list(witnesses), "shares": opened}
    answer = _call(f"{url.rstrip('/')}/v1/batches/{batch_id}/arm", _read(api_key_file).decode().strip(), body)
    return [f"batch {answer['batch_id']} is {answer['state']}"]


def public_halves(folder: Path) -> list[dict[str, str]]:
    """Of the keys that lie in `folder`: for whoever seals to them, or checks what they signed."""
    found = []
    for name in ("grader.key", "result.key", "receipt.key", "archive.key"):
        if (folder / name).exists():
            secret = secrets.read(folder, name)
            if name == "grader.key":
                shown = {**shown_key(answer_key.public_key(secret)), "algorithm": _RECIPIENT_ALGORITHM}
            else:
                shown = shown_key(Signer(secret).public_key)
            found.append({"name": name, **shown})
    return found


def vars_of(share: shares.OpenShare) -> dict[str, Any]:
    """A share as the arming call takes it."""
    return {name: getattr(share, name) for name in share.__struct_fields__}


# --- pieces ----------------------------------------------------------------------------------------------------


def _question_set(file: Path) -> QuestionSet:
    """Checked exactly as a pushed paper is."""
    try:
        return read_question_set(exact_json.decode(_read(file)))
    except Invalid as fault:
        lines = [f"{each.get('pointer')}: {each['message']}" for each in fault.faults]
        total = fault.members.get("errors_total", len(lines))
        raise CeremonyFault("\n".join([f"{file}: {total} faults", *lines])) from None
    except ExamError as fault:
        raise CeremonyFault(f"{file}: {fault.detail}") from None


def _signer(file: Path) -> Signer:
    """The author's Ed25519 key; made when it does not exist."""
    if not file.exists():
        _write(file, secrets.random_bytes(KEY_BYTES), 0o600)
    return Signer(secrets.read(file.parent, file.name))


def _recipient(file: Path) -> bytes:
    """The grader's public key, as `./run secrets public` prints it."""
    try:
        (text,) = [
            str(entry["public_key"])
            for entry in json.loads(_read(file))["keys"]
            if entry["algorithm"] == _RECIPIENT_ALGORITHM
        ]
        found = base64.b64decode(text, validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error):
        found = b""
    if len(found) != KEY_BYTES:
        raise CeremonyFault(f"{file}: expected what `./run secrets public` prints where grader.key lies")
    return found


def _package(file: Path, keys_file: Path | None = None) -> Package:
    try:
        return package.read_package(_read(file), _trusted(keys_file) if keys_file else None)
    except SealBroken as fault:
        raise CeremonyFault(f"{file}: {fault}") from None


def _sealed_paper(file: Path, keys_file: Path | None, share_files: Sequence[Path]) -> list[str]:
    """Of the sealed paper alone, as candidates are given it: its manifest, and with keys whether one signed it."""
    if share_files:
        raise CeremonyFault(f"{file} is a sealed paper; shares are tried on the package, which says what key they give")
    sealed = _read(file)
    try:
        found, _ = manifest.read_manifest(sealed)
        if keys_file:
            public_keys = {str(entry["key_id"]): str(entry["public_key"]) for entry in _trusted(keys_file)}
            if found.key_id not in public_keys:
                raise SealBroken(f"the manifest is signed by key {found.key_id}, which is none of those in {keys_file}")
            manifest.verify_manifest(sealed, base64.b64decode(public_keys[found.key_id], validate=True))
    except (SealBroken, KeyError, binascii.Error) as fault:
        raise CeremonyFault(f"{file}: {fault}") from None
    return [
        f"batch    {found.batch_id}",
        f"sealed   {paper.sealed_digest(sealed)} ({len(sealed)} bytes)",
        f"parts    {len(found.parts)}, each as the manifest lists it",
        f"signed   by {found.key_id}, {'checked' if keys_file else 'not checked: --keys FILE gives the key'}",
    ]


def _trusted(keys_file: Path) -> list[dict[str, Any]]:
    try:
        return [dict(entry) for entry in json.loads(_read(keys_file))["keys"]]
    except (ValueError, KeyError, TypeError):
        raise CeremonyFault(f"{keys_file}: expected an object with `keys`, as GET /v1/keys answers") from None


def _described(found: Package) -> list[str]:
    return [
        f"batch    {found.batch_id}",
        f"items    {found.items}, {found.points} points",
        f"paper    {found.paper_digest}",
        f"sealed   {found.sealed_digest} ({len(found.sealed)} bytes)",
        f"answers  {found.answer_key_digest}, for grader {found.answer_key_recipient}",
        f"signed   by {found.signer['key_id']} {found.signer['public_key']}",
    ]


def _hand_out(
    paper_key: bytes, made: Package, parts: tuple[int, int], folder: Path, passphrases_file: Path | None
) -> list[str]:
    k, n = parts
    try:
        given = shares.split_key(paper_key, made, k, n)
        passphrases = _passphrases(passphrases_file, [f"share {share.index}" for share in given], is_new=True)
        locked = [
            shares.lock_share(share, made.batch_id, passphrase)
            for share, passphrase in zip(given, passphrases, strict=True)
        ]
    except (ValueError, SealBroken) as fault:
        raise CeremonyFault(str(fault)) from None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    told = []
    for share, content in zip(given, locked, strict=True):
        file = folder / f"{made.batch_id}.share-{share.index}-of-{n}.json"
        _write(file, content, 0o600)
        told.append(f"share    {file}")
    return [*told, f"any {k} of these {n} open the paper; give each to its holder, and keep no copy together"]


def _opened(files: Sequence[Path], passphrases_file: Path | None) -> list[shares.OpenShare]:
    passphrases = _passphrases(passphrases_file, [str(file) for file in files], is_new=False)
    try:
        return [
            shares.open_share(_read(file), passphrase, str(file))
            for file, passphrase in zip(files, passphrases, strict=True)
        ]
    except SealBroken as fault:
        raise CeremonyFault(str(fault)) from None


def _passphrases(file: Path | None, names: Sequence[str], is_new: bool) -> list[str]:
    """One for each name, in order: the lines of a file, or typed by its holder."""
    if file is not None:
        lines = _read(file).decode("utf-8").splitlines()
        if len(lines) != len(names):
            raise CeremonyFault(f"{file} has {len(lines)} lines, expected a passphrase for each of {len(names)} shares")
        return lines
    typed = []
    for name in names:
        passphrase = getpass.getpass(f"Passphrase for {name}: ")
        if is_new and getpass.getpass(f"Again, for {name}: ") != passphrase:
            raise CeremonyFault(f"the two passphrases for {name} differ; nothing was written")
        typed.append(passphrase)
    return typed


def _batch_of(file: Path) -> str:
    try:
        return str(json.loads(_read(file))["batch_id"])
    except (ValueError, KeyError, TypeError):
        raise CeremonyFault(f"{file} is no share") from None


def _call(url: str, api_key: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {api_key}", "content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=_CALL_S) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as refused:
        with refused:
            told = refused.read()
        try:
            problem = json.loads(told)
            raise CeremonyFault(f"{problem['code']}: {problem['detail']}") from None
        except (ValueError, KeyError, TypeError):
            raise CeremonyFault(f"{url}: HTTP {refused.code}") from None
    except OSError as fault:
        raise CeremonyFault(f"{url}: {fault}") from None


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as fault:
        raise CeremonyFault(f"{file}: {fault.strerror}") from None


def _write(file: Path, content: bytes, mode: int) -> None:
    """A new file, on the disk when this returns."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as fault:
        raise CeremonyFault(f"{file}: {fault.strerror}; nothing is written over") from None
    with os.fdopen(handle, "wb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())
