"""Which directories are taken as a data directory, and that others are left as they were."""

import os
import pwd
from pathlib import Path

import pytest

from core.config import data_directory, env, parts, privileges
from core.config.data_directory import MARK, claim
from core.config.embedded_postgresql import EmbeddedPostgreSQL
from core.config.reader import ConfigurationError
from core.config.sockets import sockets_of
from tests.support.server import RunningServer


def test_a_new_directory_is_made_marked_and_taken_again(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "data"
    claim(directory)
    assert [path.name for path in directory.iterdir()] == [MARK]
    assert directory.stat().st_mode & 0o066 == 0
    (directory / "notes of the operator").touch()
    claim(directory)


@pytest.mark.parametrize("names", [[], ["lost+found"], ["storage", "secret_key"], ["serve.lock"]])
def test_an_empty_or_restored_directory_is_taken_with_the_mode_it_has(
    tmp_path: Path, names: list[str]
) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    tmp_path.chmod(0o750)
    claim(tmp_path)
    assert (tmp_path / MARK).exists()
    assert tmp_path.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    "names", [["passwd"], ["secret_key", "passwd"], ["log", "run"], ["storage", "postgresql"]]
)
def test_a_directory_of_others_is_refused_and_left_alone(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    tmp_path.chmod(0o755)
    with pytest.raises(ConfigurationError, match="holds files that are not Roadstead's"):
        claim(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_neither_a_key_nor_storage_is_made_in_a_directory_of_others(tmp_path: Path) -> None:
    (tmp_path / "passwd").touch()
    environment = env.load({"ROADSTEAD_DATA_DIR": str(tmp_path)})
    with pytest.raises(ConfigurationError, match="not Roadstead's"):
        env.secret_key(environment)
    with pytest.raises(ConfigurationError, match="not Roadstead's"):
        parts.load_django(environment)
    assert [path.name for path in tmp_path.iterdir()] == ["passwd"]


def test_a_key_that_is_there_is_read_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("k" * 40)
    environment = env.load({"ROADSTEAD_DATA_DIR": str(tmp_path)})
    assert env.secret_key(environment) == "k" * 40
    assert not (tmp_path / MARK).exists()


def test_a_file_is_not_a_directory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigurationError, match=f"{file} is not a directory: choose another"):
        claim(file)


def test_a_path_through_a_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"cannot be used \(.*\): choose another"):
        claim(tmp_path / "file" / "data")


def test_a_directory_made_for_another_account_lets_it_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_directory, "needs_other_account", lambda: True)
    claim(tmp_path / "data")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o711


def test_a_directory_named_postgresql_is_not_yet_a_database(tmp_path: Path) -> None:
    (tmp_path / "postgresql").mkdir()
    with pytest.raises(ConfigurationError, match="holds no PostgreSQL database: move it away"):
        EmbeddedPostgreSQL(tmp_path, sockets_of(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root loses its privileges")
def test_root_is_told_which_closed_directory_postgresql_cannot_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    os.chown(home, pwd.getpwnam("nobody").pw_uid, -1)
    home.chmod(0o700)
    monkeypatch.setattr(privileges, "namespaces_work", lambda: True)
    with pytest.raises(ConfigurationError, match=f"cannot enter {home}: run the command as"):
        EmbeddedPostgreSQL(home / "data", sockets_of(home / "data")).start()


@pytest.mark.server
def test_serve_refuses_before_it_writes(tmp_path: Path) -> None:
    directory = tmp_path / "etc"
    directory.mkdir(mode=0o755)
    (directory / "passwd").touch()
    server = RunningServer(directory)
    assert server.launch().wait(30) == 2
    assert server.output() == (
        f"{directory} holds files that are not Roadstead's: choose an empty or a new directory "
        "with --data-dir.\n"
    )
    assert [path.name for path in directory.iterdir()] == ["passwd"]
    server.remove()
