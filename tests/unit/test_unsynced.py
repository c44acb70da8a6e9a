"""The rules of a power loss, on plain folders: what was synced stays, what was not is lost by POSIX's rules."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.torture.unsynced import PAGE_BYTES, SECTOR_BYTES, Unsynced

SEEDS = range(40)


class Tree:
    """A folder whose every change is announced, as the file system does it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "live"
        self.root.mkdir()
        (folder / "attic").mkdir()
        self.memory = Unsynced(str(folder / "attic"))

    def create(self, name: str, content: bytes = b"") -> None:
        (self.root / name).touch()
        self.memory.made(str(self.root / name), is_new_file=True)
        self.write(name, content)

    def write(self, name: str, content: bytes, at: int = 0) -> None:
        with open(self.root / name, "r+b", buffering=0) as file:
            self.memory.before_write(file.fileno(), at, len(content))
            os.pwrite(file.fileno(), content, at)

    def truncate(self, name: str, size: int) -> None:
        with open(self.root / name, "r+b", buffering=0) as file:
            self.memory.before_truncate(file.fileno(), size)
            os.ftruncate(file.fileno(), size)

    def sync(self, name: str) -> None:
        with open(self.root / name, "rb") as file:
            self.memory.synced(file.fileno())

    def sync_folder(self, name: str = "") -> None:
        self.memory.synced_folder(str(self.root / name))

    def kept(self, name: str, content: bytes) -> None:
        """A file that is on disk for good."""
        self.create(name, content)
        self.sync(name)
        self.sync_folder(os.path.dirname(name))

    def mkdir(self, name: str) -> None:
        (self.root / name).mkdir()
        self.memory.made(str(self.root / name))

    def remove(self, name: str) -> None:
        self.memory.before_remove(str(self.root / name))
        (self.root / name).unlink()

    def rename(self, name: str, new_name: str) -> None:
        self.memory.before_rename(str(self.root / name), str(self.root / new_name))
        (self.root / name).rename(self.root / new_name)

    def lose(self, seed: int | None) -> dict[str, bytes]:
        """What is there after the power loss: name -> content."""
        self.memory.lose(str(self.root), seed)
        return {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}


def outcomes(folder: Path, story: Callable[[Tree], None]) -> list[dict[str, bytes]]:
    """What `story` leaves after a power loss, for many seeds; the first without one."""
    found = []
    for seed in (None, *SEEDS):
        place = folder / f"seed-{seed}"
        place.mkdir()
        tree = Tree(place)
        story(tree)
        found.append(tree.lose(seed))
    return found


def test_synced_bytes_stay_whatever_the_seed(tmp_path: Path) -> None:
    """fsync of the file and of its folder: nothing may take it back."""
    found = outcomes(tmp_path, lambda tree: tree.kept("answers", b"acknowledged"))

    assert found == [{"answers": b"acknowledged"}] * len(found)


def test_bytes_behind_the_synced_end_are_a_prefix(tmp_path: Path) -> None:
    """An append-only file keeps what was synced and perhaps a part of what came after, never something else."""

    def story(tree: Tree) -> None:
        tree.kept("log", b"synced;")
        tree.write("log", b"not synced", at=7)

    found = [each["log"] for each in outcomes(tmp_path, story)]

    assert found[0] == b"synced;"
    assert all(b"synced;not synced".startswith(each) and len(each) >= 7 for each in found)
    assert len(set(found)) > 3, "some tails must be torn"


def test_overwritten_sectors_are_old_or_new_each_by_itself(tmp_path: Path) -> None:
    """A page may be torn, a sector never."""
    size = 2 * PAGE_BYTES

    def story(tree: Tree) -> None:
        tree.kept("pages", b"o" * size)
        tree.write("pages", b"n" * size)

    found = [each["pages"] for each in outcomes(tmp_path, story)]
    sectors = {each[at : at + SECTOR_BYTES] for each in found for at in range(0, size, SECTOR_BYTES)}

    assert found[0] == b"o" * size
    assert sectors == {b"o" * SECTOR_BYTES, b"n" * SECTOR_BYTES}
    assert any(b"o" in each and b"n" in each for each in found), "some pages must be torn"


def test_what_was_cut_off_comes_back_or_stays_off(tmp_path: Path) -> None:
    """A truncation that was not synced may not have happened, and the bytes are then the old ones."""

    def story(tree: Tree) -> None:
        tree.kept("file", b"0123456789")
        tree.truncate("file", 4)

    found = {each["file"] for each in outcomes(tmp_path, story)}

    assert found == {b"0123456789", b"0123"}


def test_truncated_and_written_anew_shows_no_third_content(tmp_path: Path) -> None:
    """Rewriting a file in place without a sync may tear it, and the worst case is the old content."""

    def story(tree: Tree) -> None:
        tree.kept("file", b"old old old")
        tree.truncate("file", 0)
        tree.write("file", b"new new new")

    found = outcomes(tmp_path, story)

    assert found[0] == {"file": b"old old old"}
    assert {each["file"] for each in found} <= {b"old old old", b"new new new", b""}


def test_name_that_was_not_synced_goes_with_its_synced_bytes(tmp_path: Path) -> None:
    """fsync of a file says nothing about the folder it stands in."""

    def story(tree: Tree) -> None:
        tree.create("new", b"bytes")
        tree.sync("new")

    found = outcomes(tmp_path, story)

    assert found[0] == {}
    assert {tuple(each.items()) for each in found} == {(), (("new", b"bytes"),)}


def test_rename_is_old_or_new_never_both_or_neither(tmp_path: Path) -> None:
    """The way to replace a file: write, sync, rename. Without a sync of the folder either may be there."""

    def story(tree: Tree) -> None:
        tree.kept("settings", b"old")
        tree.kept("settings.new", b"new")
        tree.rename("settings.new", "settings")

    found = outcomes(tmp_path, story)

    assert found[0] == {"settings": b"old", "settings.new": b"new"}
    assert all(each in (found[0], {"settings": b"new"}) for each in found)
    assert {"settings": b"new"} in found


def test_renamed_and_synced_folder_keeps_the_new_name(tmp_path: Path) -> None:
    """After fsync of the folder the old file is gone for good, also from the attic."""

    def story(tree: Tree) -> None:
        tree.kept("settings", b"old")
        tree.create("settings.new", b"new")
        tree.sync("settings.new")
        tree.rename("settings.new", "settings")
        tree.sync_folder()

    found = outcomes(tmp_path, story)

    assert found == [{"settings": b"new"}] * len(found)
    assert [path for path in tmp_path.rglob("attic/*")] == []


def test_removed_file_comes_back_with_its_content(tmp_path: Path) -> None:
    """An unlink that was not synced may not have happened."""

    def story(tree: Tree) -> None:
        tree.kept("segment", b"content")
        tree.remove("segment")

    found = outcomes(tmp_path, story)

    assert found[0] == {"segment": b"content"}
    assert {} in found


def test_names_are_lost_from_a_moment_on_in_their_order(tmp_path: Path) -> None:
    """As a journal does it: a later change of names is never kept without the earlier ones."""

    def story(tree: Tree) -> None:
        for number in range(4):
            tree.create(f"file-{number}")

    found = [sorted(each) for each in outcomes(tmp_path, story)]

    assert all(each == [f"file-{number}" for number in range(len(each))] for each in found)
    assert len({len(each) for each in found}) > 2


def test_unsynced_folder_goes_with_everything_in_it(tmp_path: Path) -> None:
    """Syncing inside a folder that its parent does not know yet is in vain."""

    def story(tree: Tree) -> None:
        tree.mkdir("folder")
        tree.kept("folder/file", b"content")

    found = outcomes(tmp_path, story)

    assert found[0] == {}
    assert {"folder/file": b"content"} in found


def test_folder_renamed_for_good_still_loses_what_was_not_synced_in_it(tmp_path: Path) -> None:
    """What was announced under the old name is found under the new one."""

    def story(tree: Tree) -> None:
        tree.mkdir("making")
        tree.sync_folder()
        tree.create("making/unsynced", b"x")
        tree.rename("making", "made")
        tree.sync_folder()

    found = outcomes(tmp_path, story)

    assert found[0] == {}
    assert {"made/unsynced": b""} in found or {"made/unsynced": b"x"} in found
    assert not any(name.startswith("making") for each in found for name in each)


def test_the_same_seed_loses_the_same(tmp_path: Path) -> None:
    """A failure found by chance can be seen again."""

    def story(tree: Tree) -> None:
        for number in range(5):
            tree.create(f"file-{number}", bytes([number]) * 3000)

    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()

    assert outcomes(first, story) == outcomes(second, story)


@pytest.mark.parametrize("seed", [None, 1])
def test_a_second_power_loss_takes_nothing_more(tmp_path: Path, seed: int | None) -> None:
    """What survived the first is on disk."""
    tree = Tree(tmp_path)
    tree.kept("file", b"0123456789")
    tree.write("file", b"abc", at=2)
    tree.create("other", b"x")
    first = tree.lose(seed)

    assert tree.lose(None) == first
