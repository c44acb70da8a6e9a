"""Settings refuse by name what they do not know or cannot use: a typing error must not wait for Saturday."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from engine import settings
from engine.rules.limits import DELIVERY_TIMEOUT_S_MAX
from engine.settings import Settings, SettingsError


def test_nothing_set_gives_the_defaults() -> None:
    """Every setting has one, so that a bare `serve` starts and says what it misses."""
    assert settings.load({}) == Settings()


def test_variables_become_typed_values() -> None:
    """The environment knows text only."""
    found = settings.load({"LIANKAO_PORT": "8123", "LIANKAO_LOG_LEVEL": "debug", "HOME": "/somewhere"})

    assert (found.port, found.log_level) == (8123, "debug")


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    """The file is the house's, the variable is this process's."""
    file = tmp_path / "liankao.toml"
    file.write_text('port = 8001\nhost = "0.0.0.0"\n')

    found = settings.load({"LIANKAO_CONFIG": str(file), "LIANKAO_PORT": "8002"})

    assert (found.host, found.port) == ("0.0.0.0", 8002)


def test_an_unknown_variable_is_refused_by_name() -> None:
    """`LIANKAO_PROT=80` would otherwise serve on 8000 without a word."""
    with pytest.raises(SettingsError, match=r"unknown setting LIANKAO_PROT; known: .*LIANKAO_PORT"):
        settings.load({"LIANKAO_PROT": "80"})


def test_the_launchers_own_variables_are_no_settings() -> None:
    """`run` and the search for servers read them."""
    environ = {"LIANKAO_VENV": "/v", "LIANKAO_PG_BIN": "/p", "LIANKAO_REDIS_BIN": "/r"}

    assert settings.load(environ) == Settings()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LIANKAO_PORT", "0"),
        ("LIANKAO_PORT", "65536"),
        ("LIANKAO_PORT", "http"),
        ("LIANKAO_PORT", ""),
        ("LIANKAO_WORKERS", "1.5"),
        ("LIANKAO_PARTITIONS", "-1"),
        ("LIANKAO_LOG_LEVEL", "loud"),
        ("LIANKAO_COURIER_NETWORKS", "10.0.0.1/8"),
        ("LIANKAO_COURIER_TIMEOUT_S", str(DELIVERY_TIMEOUT_S_MAX + 1)),  # longer than what others take a hold for
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(name: str, text: str) -> None:
    """The message names the variable and shows what it holds."""
    with pytest.raises(SettingsError, match=f"{name}={text!r}: "):
        settings.load({name: text})


def test_a_files_unknown_name_is_refused_with_the_file(tmp_path: Path) -> None:
    """Same rule, and the reader knows where to look."""
    file = tmp_path / "liankao.toml"
    file.write_text("prot = 80\n")

    with pytest.raises(SettingsError, match=rf"settings file {file}: unknown setting 'prot'"):
        settings.load({}, str(file))


@pytest.mark.parametrize("content", [b"port = \n", b"\xff\xfe", b"port 80"])
def test_a_file_that_is_no_toml_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    """No traceback for a missing quote."""
    file = tmp_path / "liankao.toml"
    file.write_bytes(content)

    with pytest.raises(SettingsError, match=f"settings file {file}: "):
        settings.load({}, str(file))


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path) -> None:
    """A named file that is not there must not mean `defaults`."""
    with pytest.raises(SettingsError, match=r"nowhere\.toml: No such file"):
        settings.load({"LIANKAO_CONFIG": str(tmp_path / "nowhere.toml")})


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    """Container secrets are files; their last line break is not part of the value."""
    file = tmp_path / "dsn"
    file.write_text("postgresql://host/db\n")

    found = settings.load({"LIANKAO_POSTGRES_DSN_FILE": str(file)})

    assert found.postgres_dsn == "postgresql://host/db"


def test_a_missing_secret_file_is_refused_by_name(tmp_path: Path) -> None:
    """An empty password would be worse than a refusal."""
    with pytest.raises(SettingsError, match=r"LIANKAO_POSTGRES_DSN_FILE=.*: No such file"):
        settings.load({"LIANKAO_POSTGRES_DSN_FILE": str(tmp_path / "none")})


def test_settings_survive_the_way_to_a_child() -> None:
    """The supervisor hands them on as variables; the child reads the same."""
    chosen = structs.replace(Settings(), port=8123, metrics_dir="/m", log_level="error", drain_s=0)

    assert settings.load(settings.as_environ(chosen)) == chosen
