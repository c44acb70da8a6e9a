"""The bundle that an archive is: a ZIP of NDJSON tables and blobs, closed by a signed manifest (`schema/archive.md`).

The same content gives the same bytes: no clocks, no names of machines, members in the order they are written. Memory is
bounded by one row or blob and the list of members, whatever the batch.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import orjson
from msgspec import Struct

from engine.rules import exact_json
from engine.rules.errors import Refused
from engine.rules.limits import ARCHIVE_LINE_BYTES_MAX, ARCHIVE_MANIFEST_BYTES_MAX
from engine.sealing import signature
from engine.sealing.signature import Signer

FORMAT = "liankao-archive/1"
RECORDS_FORMAT = "liankao-archive-records/1"  # what was left once the answers were erased
MANIFEST = "manifest.json"
_MEMBER_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a ZIP can say: when it was made is no content
_READ_BYTES = 2**16
_NAMES = {"format", "batch_id", "members", "keys", "key_id", "signature"}
_MANIFEST_NAMES = {FORMAT: _NAMES, RECORDS_FORMAT: _NAMES | {"answers_in"}}


class KeepingFault(Exception):
    """What could not be archived, checked or erased, and why; one line."""


class BadArchive(KeepingFault):
    """What a file is instead of an archive, or where it contradicts its manifest."""


class Member(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line of the manifest. `bytes` and `sha256` are of the content, not of its compressed form."""

    name: str
    bytes: int
    sha256: str
    rows: int | None = None


def table_name(table: str) -> str:
    return f"tables/{table}.ndjson"


def blob_name(digest: str) -> str:
    return f"blobs/{digest}"


def content_digest(batch_id: str, members: Iterable[Member], answers_in: str = "") -> str:
    """What an archive holds, whoever signed it and however it is compressed: hex SHA-256 over its list of members."""
    return exact_json.digest(_content(batch_id, members, answers_in))


def _content(batch_id: str, members: Iterable[Member], answers_in: str) -> dict[str, Any]:
    """The signed part of a manifest that says what is in it."""
    listed = [msgspec.to_builtins(member) for member in members]
    if answers_in:
        return {"format": RECORDS_FORMAT, "batch_id": batch_id, "members": listed, "answers_in": answers_in}
    return {"format": FORMAT, "batch_id": batch_id, "members": listed}


# --- writing ---------------------------------------------------------------------------------------------------


class BundleWriter:
    """Writes members one after another; into nothing when `file` is None, for their digests alone."""

    def __init__(self, file: IO[bytes] | None) -> None:
        self._zip = None if file is None else zipfile.ZipFile(file, "w", allowZip64=True)
        self.members: list[Member] = []
        self._names: set[str] = set()

    @contextmanager
    def table(self, table: str) -> Iterator[TableWriter]:
        """A table whose rows are written within the block."""
        with self._opened(table_name(table), zipfile.ZIP_DEFLATED) as sink:
            writer = TableWriter(sink)
            yield writer
        self._done(table_name(table), writer.digest, writer.bytes, writer.rows)

    def blob(self, content: bytes) -> None:
        """Bytes under the name of their digest; the same bytes once."""
        digest = hashlib.sha256(content)
        name = blob_name(digest.hexdigest())
        if name not in self._names:
            with self._opened(name, zipfile.ZIP_STORED) as sink:  # sealed or compressed already
                if sink is not None:
                    sink.write(content)
            self._done(name, digest, len(content), None)

    def close(self, batch_id: str, keys: list[dict[str, str]], signer: Signer, answers_in: str = "") -> str:
        """Write the manifest, the last member; returns the content's digest.

        `answers_in`: the content of the archive that holds the answers, where they were erased before this one.
        """
        manifest = {**_content(batch_id, self.members, answers_in), "keys": keys, "key_id": signer.key_id}
        with self._opened(MANIFEST, zipfile.ZIP_DEFLATED) as sink:
            if sink is not None:
                sink.write(exact_json.canonical(signer.signed(manifest)))
        if self._zip is not None:
            self._zip.close()
        return content_digest(batch_id, self.members, answers_in)

    @contextmanager
    def _opened(self, name: str, compression: int) -> Iterator[IO[bytes] | None]:
        if self._zip is None:
            yield None
            return
        entry = zipfile.ZipInfo(name, _MEMBER_TIME)
        entry.compress_type = compression
        entry.create_system = 3  # Unix, wherever this runs
        entry.external_attr = 0o644 << 16
        with self._zip.open(entry, "w", force_zip64=True) as sink:
            yield sink

    def _done(self, name: str, digest: hashlib._Hash, size: int, rows: int | None) -> None:
        self._names.add(name)
        self.members.append(Member(name, size, digest.hexdigest(), rows))


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that has its name only once it is whole and on disk. Raises KeepingFault where there is one already."""
    beside = path.with_name(path.name + ".part")
    if path.exists():
        raise KeepingFault(f"{path} exists; nothing is written over")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
    except OSError as fault:
        raise KeepingFault(f"{fault.filename or beside}: {fault.strerror}") from None
    finally:
        beside.unlink(missing_ok=True)
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)  # a name that is not synced is lost with the power
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class TableWriter:
    """The rows of one table, one JSON text per line."""

    def __init__(self, sink: IO[bytes] | None) -> None:
        self._sink = sink
        self.digest = hashlib.sha256()
        self.bytes = 0
        self.rows = 0

    def row(self, text: str) -> None:
        line = text.encode() + b"\n"
        if self._sink is not None:
            self._sink.write(line)
        self.digest.update(line)
        self.bytes += len(line)
        self.rows += 1


# --- reading ---------------------------------------------------------------------------------------------------


class BundleReader:
    """An archive whose manifest was read and verified against `keys`, entries of `/v1/keys`.

    Nothing else of it has been looked at yet: `check_members` compares all with the manifest. Raises BadArchive.
    """

    def __init__(self, path: Path, keys: list[Mapping[str, Any]]) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as fault:
            raise BadArchive(f"{path} is no archive: {fault}") from None
        manifest = self._manifest()
        if not signature.is_valid(manifest, keys):
            raise BadArchive(f"no published key signed the manifest; it names {manifest['key_id']!r}")
        self.batch_id = str(manifest["batch_id"])
        self.key_id = str(manifest["key_id"])
        self.answers_in = str(manifest.get("answers_in", ""))  # the archive that has the answers, where this has none
        try:
            members = msgspec.convert(manifest["members"], list[Member])
        except msgspec.ValidationError as fault:
            raise BadArchive(f"{MANIFEST}, members: {fault}") from None
        self.members = {member.name: member for member in members}
        if len(self.members) < len(members):
            raise BadArchive(f"{MANIFEST} names a member twice")
        self.digest = content_digest(self.batch_id, members, self.answers_in)

    def _manifest(self) -> dict[str, Any]:
        try:
            if self._zip.getinfo(MANIFEST).file_size > ARCHIVE_MANIFEST_BYTES_MAX:
                raise BadArchive(f"{MANIFEST} is larger than {ARCHIVE_MANIFEST_BYTES_MAX} bytes")
            manifest = exact_json.decode(self._zip.read(MANIFEST))
        except (KeyError, Refused, zipfile.BadZipFile, OSError, ValueError) as fault:
            raise BadArchive(f"{MANIFEST} cannot be read: {fault}") from None
        if not isinstance(manifest, dict) or set(manifest) != _MANIFEST_NAMES.get(str(manifest.get("format")), set()):
            expected = ", ".join(sorted(_NAMES))
            raise BadArchive(f"{MANIFEST} is none of {' or '.join(_MANIFEST_NAMES)}: expected exactly {expected}")
        return manifest

    def faults(self) -> Iterator[str]:
        """Where the members differ from the manifest: more of them, fewer, or other bytes."""
        names = self._zip.namelist()
        for name in sorted({name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()):
            yield f"{name} stands twice in the file"
        for name in sorted(set(names) - self.members.keys() - {MANIFEST}):
            yield f"{name} is not in the manifest"
        for member in self.members.values():
            if member.name not in names:
                yield f"{member.name} is missing"
            elif found := self._fault_of(member):
                yield f"{member.name}: {found}"

    def _fault_of(self, member: Member) -> str | None:
        digest, size, rows = hashlib.sha256(), 0, 0
        try:
            with self._zip.open(member.name) as source:
                # Never more than the manifest promises: a member may unpack to anything.
                while size <= member.bytes and (part := source.read(_READ_BYTES)):
                    digest.update(part)
                    size += len(part)
                    rows += part.count(b"\n")
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as fault:
            return f"cannot be read ({fault})"
        except Exception as fault:  # zlib's own error is a class of its module
            return f"cannot be unpacked ({fault})"
        if size != member.bytes or digest.hexdigest() != member.sha256:
            return "its bytes are not those the manifest names"
        return f"{rows} rows, the manifest says {member.rows}" if rows != (member.rows or rows) else None

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """The rows of one table, in their order; none when the archive has no such table. Raises BadArchive."""
        if table_name(table) not in self.members:
            return
        with self._zip.open(table_name(table)) as source:
            while line := source.readline(ARCHIVE_LINE_BYTES_MAX):
                try:
                    row = orjson.loads(line)
                except orjson.JSONDecodeError as fault:
                    raise BadArchive(f"{table_name(table)}: a row is not JSON ({fault})") from None
                if not isinstance(row, dict):
                    raise BadArchive(f"{table_name(table)}: a row is no object")
                yield row

    def blob(self, digest: str) -> bytes:
        """Raises BadArchive when there is none, or it has other bytes."""
        try:
            content = self._zip.read(blob_name(digest))
        except (KeyError, zipfile.BadZipFile, OSError) as fault:
            raise BadArchive(f"blob {digest[:16]}… cannot be read: {fault}") from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise BadArchive(f"blob {digest[:16]}… has other bytes than its name says")
        return content

    def close(self) -> None:
        self._zip.close()
