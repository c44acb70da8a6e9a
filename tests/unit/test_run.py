"""`run` sets up once, for everyone, and says what is missing in one line."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.servers import ROOT

RUN = ROOT / "run"


@pytest.fixture(scope="module")
def run() -> ModuleType:
    """The script as a module."""
    was = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # no `runc` beside it
    try:
        loader = SourceFileLoader("run_script", str(RUN))
        spec = importlib.util.spec_from_loader("run_script", loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = was
    return module


@pytest.fixture
def checkout(run: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with two tiny locks and an installer that installs nothing."""
    (tmp_path / "requirements.lock").write_text("a==1\n")
    (tmp_path / "requirements-load.lock").write_text("a==1\nl==1\n")
    (tmp_path / "requirements-dev.lock").write_text("a==1\nl==1\nb==1\n")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.delenv("LIANKAO_VENV", raising=False)
    monkeypatch.setattr(run, "install", _pretend_install)
    return tmp_path


def _pretend_install(venv: Path, lock_name: str) -> None:
    (venv / "bin").mkdir(exist_ok=True)
    if not (venv / "bin" / "python").exists():
        (venv / "bin" / "python").symlink_to(sys.executable)
    with open(venv / "installed", "a") as log:
        log.write(lock_name + "\n")


def _installed(venv: Path) -> list[str]:
    return (venv / "installed").read_text().split()


def test_it_is_executable_and_needs_the_standard_library_only() -> None:
    """A bare Python starts it."""
    imported = [node for node in ast.walk(ast.parse(RUN.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imported if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in imported if isinstance(node, ast.ImportFrom) and node.module}

    assert os.access(RUN, os.X_OK)
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_an_old_python_is_told_so_before_anything_else() -> None:
    """The check must compile and come before what an old Python lacks."""
    source = RUN.read_text()
    ast.parse(source, feature_version=(3, 6))
    old = "import sys\nsys.version_info = (3, 9, 2)\n" + source
    done = subprocess.run([sys.executable, "-c", old], capture_output=True, text=True)

    assert done.returncode == 1
    assert "needs Python 3.11 or newer, this is 3.9" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_without_arguments_it_lists_what_it_can_do() -> None:
    """And sets nothing up for that."""
    environ = {**os.environ, "LIANKAO_VENV": "/nonexistent/venv"}
    for arguments in ([], ["--help"], ["-h"], ["help"]):
        done = subprocess.run([RUN, *arguments], capture_output=True, text=True, env=environ)

        assert done.returncode == 0
        assert "./run demo" in done.stdout
        assert "./run test" in done.stdout


def test_the_list_names_every_command() -> None:
    """Two lists, one truth."""
    from engine import __main__ as command_line

    help_text = subprocess.run([RUN], capture_output=True, text=True).stdout
    actions: Any = command_line.parser()._subparsers
    known = next(action.choices for action in actions._actions if action.choices)

    assert [name for name in known if f"./run {name}" not in help_text and f"|{name}" not in help_text] == []


def test_the_second_call_installs_nothing(run: ModuleType, checkout: Path) -> None:
    """The stamp is believed without starting the environment's Python."""
    first = run.environment("requirements.lock")
    second = run.environment("requirements.lock")

    assert first == second == checkout / ".venv" / "bin" / "python"
    assert _installed(checkout / ".venv") == ["requirements.lock"]


def test_a_changed_lock_installs_again(run: ModuleType, checkout: Path) -> None:
    """After a pull nobody has to remember anything."""
    run.environment("requirements.lock")
    (checkout / "requirements.lock").write_text("a==2\n")
    run.environment("requirements.lock")

    assert _installed(checkout / ".venv") == ["requirements.lock"] * 2


def test_the_development_environment_also_serves(run: ModuleType, checkout: Path) -> None:
    """Its lock is a superset: `test` then `demo` installs once; `demo` then `test` adds what is missing."""
    run.environment("requirements-dev.lock")
    run.environment("requirements.lock")

    assert _installed(checkout / ".venv") == ["requirements-dev.lock"]


def test_the_environment_for_load_tests_serves_and_does_not_test(run: ModuleType, checkout: Path) -> None:
    """Each lock includes the ones before it, and not those after it."""
    run.environment("requirements-load.lock")
    run.environment("requirements.lock")
    run.environment("requirements-dev.lock")

    assert _installed(checkout / ".venv") == ["requirements-load.lock", "requirements-dev.lock"]


def test_the_serving_environment_does_not_test(run: ModuleType, checkout: Path) -> None:
    """It lacks pytest."""
    run.environment("requirements.lock")
    run.environment("requirements-dev.lock")

    assert _installed(checkout / ".venv") == ["requirements.lock", "requirements-dev.lock"]


def test_a_half_made_environment_is_made_anew(run: ModuleType, checkout: Path) -> None:
    """Its maker was killed: nobody knows what is missing in it."""
    (checkout / ".venv" / "lib").mkdir(parents=True)
    (checkout / ".venv" / run.HALF_MADE).touch()
    run.environment("requirements.lock")

    assert not (checkout / ".venv" / "lib").exists()
    assert not (checkout / ".venv" / run.HALF_MADE).exists()


def test_a_failed_set_up_leaves_a_mark(run: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the next call starts afresh."""

    def fail(venv: Path, lock_name: str) -> None:
        raise run.CannotSetUp("no network")

    monkeypatch.setattr(run, "install", fail)
    with pytest.raises(run.CannotSetUp, match="no network"):
        run.environment("requirements.lock")

    assert (checkout / ".venv" / run.HALF_MADE).exists()


def test_an_environment_whose_python_is_gone_is_made_anew(run: ModuleType, checkout: Path) -> None:
    """The system's Python was upgraded and the old one removed."""
    run.environment("requirements.lock")
    (checkout / ".venv" / "bin" / "python").unlink()
    (checkout / ".venv" / "bin" / "python").symlink_to("/nonexistent/python3")
    (checkout / ".venv" / "old").touch()
    python = run.environment("requirements.lock")

    assert python.exists()
    assert not (checkout / ".venv" / "old").exists()


def test_the_user_may_name_the_place(run: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For read-only checkouts and shared machines."""
    monkeypatch.setenv("LIANKAO_VENV", str(checkout / "elsewhere"))

    assert run.environment("requirements.lock") == checkout / "elsewhere" / "bin" / "python"
    assert not (checkout / ".venv").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_checkout_falls_back_to_the_cache(
    run: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """And says so."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    checkout.chmod(0o555)
    try:
        python = run.environment("requirements.lock")
    finally:
        checkout.chmod(0o755)

    assert python.is_relative_to(cache / "liankao")


def test_places_in_order_of_preference(run: ModuleType) -> None:
    """The checkout's own, the user's cache, and for users without a home the temporary folder, under their id."""
    places = run.venv_candidates({"XDG_CACHE_HOME": "/c"})

    assert places[0] == ROOT / ".venv"
    assert places[1].parent == Path("/c/liankao")
    assert f"liankao-{os.getuid()}" in places[2].parts
    assert run.venv_candidates({"LIANKAO_VENV": "/v"}) == [Path("/v")]


def test_a_strangers_folder_is_not_used(run: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In /tmp anyone may put a `python` where we would look."""
    monkeypatch.setattr(run.os, "getuid", lambda: os.geteuid() + 4321)
    monkeypatch.setattr(run, "ROOT", tmp_path / "none")
    owner = tmp_path.stat().st_uid
    if owner == 0:
        pytest.skip("root is trusted by everyone")

    assert not run.is_trusted(tmp_path)


def test_other_packages_cannot_slip_in(run: ModuleType) -> None:
    """Neither from the user's Python settings nor from a folder named `engine` where the user stands."""
    told = {"PYTHONPATH": "/evil", "PIP_USER": "1", "PIP_TARGET": "/t", "VIRTUAL_ENV": "/v", "LANG": "C"}

    assert run.child_environ(told, paths=False) == {"LANG": "C"}
    assert run.child_environ(told) == {"LANG": "C", "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}


def test_neither_venv_nor_pip_is_one_clear_line(run: ModuleType, tmp_path: Path, monkeypatch: Any) -> None:
    """A minimal Debian lacks both; the message names the package."""
    monkeypatch.setattr(run.shutil, "which", lambda name: None)
    monkeypatch.setattr(run, "has_module", lambda python, module: False)
    with pytest.raises(run.CannotSetUp, match="apt install python3-venv"):
        run.install(tmp_path, "requirements.lock")


def test_the_ways_to_install_are_tried_in_order(run: ModuleType, tmp_path: Path, monkeypatch: Any) -> None:
    """uv fails, venv with pip works: the user sees neither."""
    tried: list[list[str]] = []

    def attempt(command: list[str]) -> str | None:
        tried.append(command)
        return "no network" if command[0] == "uv" else None

    monkeypatch.setattr(run.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(run, "has_module", lambda python, module: python == sys.executable)
    monkeypatch.setattr(run, "attempt", attempt)
    run.install(tmp_path / "venv", "requirements.lock")

    assert [command[0:2] for command in tried] == [
        ["uv", "venv"],
        [sys.executable, "-m"],
        [str(tmp_path / "venv" / "bin" / "python"), "-m"],
    ]
    assert "--require-hashes" in tried[-1]
    assert ":all:" in tried[-1]


def test_it_works_from_any_folder(run: ModuleType, tmp_path: Path) -> None:
    """Also from one that has an `engine` of its own: the working directory stays the caller's."""
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("raise SystemExit('the wrong engine')")
    environ = {**run.child_environ(os.environ), "LIANKAO_PROT": "1"}
    command = [sys.executable, "-m", "engine", "serve"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environ)

    assert done.returncode == 2
    assert done.stderr.startswith("run: unknown setting LIANKAO_PROT; known: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_locks_hold_hashes_and_no_addresses() -> None:
    """A lock with an address would break everyone behind a mirror."""
    for lock in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / lock).read_text()

        assert "--hash=sha256:" in text
        assert "://" not in text
