"""Canaries: random strings planted in a paper, and a search that finds them wherever and however they are kept.

Each canary is 32 bytes: two marks that are the same for all canaries of a flock, between them one that tells its kind,
and the rest its own. All are random, and new for each run; so a search knows a handful of patterns and not thousands.
A mark is looked for raw, as hex and base64 text, each as ASCII, as two and four bytes a character (how Python keeps
text), as base64 once more (how media travel), and in whatever zlib streams lie in the bytes that are searched.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import asyncpg

_MARK_BYTES = 9  # a multiple of three: its base64 is the same wherever it begins at one
_PAGE = os.sysconf("SC_PAGESIZE")
_PRESENT, _SWAPPED = 1 << 63, 1 << 62
_READ_BYTES = 4 * 2**20
_READ_MIN_BYTES = 100_000  # no process of ours has less
_ZLIB_HEADS = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_ZLIB_TASTE, _ZLIB_MEAL = 2**12, 2**20
_OVERLAP = 4 * 2 * 4 * _MARK_BYTES  # the longest pattern: four bytes a character of hex, and some


class Flock:
    """Canaries of several kinds, as `paper` and `key`."""

    def __init__(self, *kinds: str) -> None:
        self.marks = (os.urandom(_MARK_BYTES), os.urandom(_MARK_BYTES))
        self.kinds = {kind: os.urandom(_MARK_BYTES) for kind in kinds}

    def canary(self, kind: str) -> bytes:
        first, last = self.marks
        return first + self.kinds[kind] + os.urandom(3) + last + os.urandom(2)


def _patterns(*marks: bytes) -> list[bytes]:
    """All that tells of a mark, however it is kept."""
    found = [*marks]
    for text in [text for mark in marks for text in (mark.hex(), base64.b64encode(mark).decode())]:
        found += [text.encode(), text.encode("utf-16-le"), text.encode("utf-32-le")]
        found += [_inner_base64(text.encode(), shift) for shift in range(3)]
    return found


def _inner_base64(content: bytes, shift: int) -> bytes:
    """What of the base64 of `content` does not depend on its neighbours, `shift` bytes after a multiple of three."""
    encoded = base64.b64encode(b"\0" * shift + content)
    return encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4]


_TABLES = (
    "SELECT oid::regclass::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)


class Search:
    """Looks for the canaries of a flock, and tells of which kind they are."""

    def __init__(self, flock: Flock) -> None:
        self._patterns = _patterns(*flock.marks)
        self._of_kind = {kind: _patterns(mark) for kind, mark in flock.kinds.items()}
        self.bytes_searched = 0

    def found_in(self, content: bytes, is_nested: bool = False) -> set[str]:
        """The kinds of which something is in `content`, or in a zlib stream that begins in it."""
        self.bytes_searched += len(content)
        found: set[str] = set()
        if any(pattern in content for pattern in self._patterns):
            found = {kind for kind, patterns in self._of_kind.items() if any(each in content for each in patterns)}
            found = found or {"part of a canary"}
        if not is_nested:
            for head in _ZLIB_HEADS.finditer(content):
                plain = _unpacked(content, head.start())
                if plain:
                    found |= self.found_in(plain, is_nested=True)
        return found

    def found_in_stream(self, pieces: Iterator[bytes]) -> set[str]:
        """The same for what comes in pieces that follow one another."""
        found: set[str] = set()
        end = b""
        for piece in pieces:
            found |= self.found_in(end + piece)
            end = piece[-_OVERLAP:]
        return found

    def found_in_files(self, folder: Path) -> dict[str, set[str]]:
        """File -> kinds, of all files below `folder`."""
        hits = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                try:
                    with open(path, "rb") as file:
                        hits[str(path)] = self.found_in_stream(iter(lambda: file.read(_READ_BYTES), b""))
                except FileNotFoundError:  # a server has removed it since
                    continue
        return {path: kinds for path, kinds in hits.items() if kinds}

    async def found_in_tables(self, dsn: str) -> dict[str, set[str]]:
        """Table -> kinds, of a whole database as COPY gives it."""
        connection = await asyncpg.connect(dsn)
        hits = {}
        try:
            rows = await connection.fetch(_TABLES)
            for row in rows:
                pieces: list[bytes] = []

                async def take(piece: bytes) -> None:
                    pieces.append(piece)  # noqa: B023

                await connection.copy_from_query(f"SELECT * FROM {row['name']}", output=take, format="binary")
                hits[row["name"]] = self.found_in(b"".join(pieces))
        finally:
            await connection.close()
        assert len(hits) > 10, hits
        return {table: kinds for table, kinds in hits.items() if kinds}

    def found_in_memory(self, pids: dict[str, int]) -> dict[str, set[str]]:
        """Process -> kinds. Memory that cannot be read is an error: what nobody looked at proves nothing."""
        hits = {}
        shared: set[tuple[str, str]] = set()
        for name, pid in pids.items():
            before = self.bytes_searched
            try:
                hits[f"{name} ({pid})"] = self.found_in_stream(resident(pid, shared))
            except (FileNotFoundError, ProcessLookupError):  # it has ended: its memory is nobody's
                assert not Path(f"/proc/{pid}/mem").exists(), f"the memory of {name} cannot be read"
                continue
            assert self.bytes_searched - before > _READ_MIN_BYTES, f"hardly anything of {name} could be read"
        return {process: kinds for process, kinds in hits.items() if kinds}


def _unpacked(content: bytes, at: int) -> bytes:
    """What the zlib stream at `at` begins with; nothing if there is none."""
    for taste in (_ZLIB_TASTE, _ZLIB_MEAL):
        try:
            plain = zlib.decompressobj().decompress(content[at : at + taste], 16 * _ZLIB_MEAL)
        except zlib.error:
            return b""
        if len(plain) < _ZLIB_TASTE // 8:
            return plain
    return plain


def resident(pid: int, shared: set[tuple[str, str]]) -> Iterator[bytes]:
    """All that a process has in memory or in swap, map by map; what many map is read once (`shared`)."""
    with open(f"/proc/{pid}/maps") as told:
        maps = told.read().splitlines()
    with open(f"/proc/{pid}/mem", "rb", 0) as memory, open(f"/proc/{pid}/pagemap", "rb", 0) as pagemap:
        for line in maps:
            span, rights, offset, device, inode, *path = line.split(maxsplit=5)
            if "r" not in rights or (path and path[0] in ("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            begins, ends = (int(bound, 16) for bound in span.split("-"))
            if inode != "0" and (rights[3] == "s" or "w" not in rights):
                if (f"{device} {inode}", offset) in shared:
                    continue
                shared.add((f"{device} {inode}", offset))
            yield b"\0" * _OVERLAP  # what follows does not go on where the last map ended
            yield from _pages(memory, pagemap, begins, ends)


def _pages(memory: IO[bytes], pagemap: IO[bytes], begins: int, ends: int) -> Iterator[bytes]:
    for at in range(begins, ends, _READ_BYTES):
        count = (min(ends, at + _READ_BYTES) - at) // _PAGE
        entries = os.pread(pagemap.fileno(), count * 8, at // _PAGE * 8)
        held = [bool(entry & (_PRESENT | _SWAPPED)) for entry in struct.unpack(f"{len(entries) // 8}Q", entries)]
        page = 0
        while page < len(held):
            if not held[page]:
                page += 1
                continue
            run = page
            while run < len(held) and held[run]:
                run += 1
            with contextlib.suppress(OSError):  # given back since, or a device's: neither is memory of the process
                yield os.pread(memory.fileno(), (run - page) * _PAGE, at + page * _PAGE)
            page = run


def family(pids: dict[str, int]) -> dict[str, int]:
    """The processes named, and all that they have started, by name."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = dict(pids)
    ahead = list(pids.items())
    while ahead:
        name, pid = ahead.pop()
        more = {f"{name}/{child}": child for child in children.get(pid, []) if child not in found.values()}
        found |= more
        ahead += more.items()
    return found
