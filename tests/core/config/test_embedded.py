"""PostgreSQL and Redis of a data directory, started and ended in ways that happen."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import psutil
import psycopg2
import pytest
from redis import Redis

from core.config import embedded_postgresql, embedded_redis, privileges
from core.config.embedded_postgresql import (
    EmbeddedPostgreSQL,
    PostgreSQLFailed,
    end_orphan,
    private_directory,
)
from core.config.embedded_redis import EmbeddedRedis
from core.config.reader import ConfigurationError
from core.config.sockets import sockets_of
from tests.support.server import wait_until_ended


@pytest.fixture
def postgresql(tmp_path: Path) -> Iterator[EmbeddedPostgreSQL]:
    """A server that is not yet started."""
    server = EmbeddedPostgreSQL(tmp_path, sockets_of(tmp_path), durable=False)
    yield server
    server.stop()


def rows(data_dir: Path, statement: str) -> list[tuple[object, ...]]:
    """Run one statement as the product would."""
    connection = psycopg2.connect(sockets_of(data_dir).database_url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_what_was_written_is_there_after_a_crash(tmp_path: Path) -> None:
    postgresql = EmbeddedPostgreSQL(tmp_path, sockets_of(tmp_path))
    postgresql.start()
    postgresql.wait_ready()
    rows(tmp_path, "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('here')")
    assert postgresql.process is not None
    postgresql.process.kill()
    postgresql.process.wait()
    assert (tmp_path / "postgresql" / "postmaster.pid").exists()
    postgresql.start()
    try:
        postgresql.wait_ready()
        assert rows(tmp_path, "SELECT word FROM kept") == [("here",)]
    finally:
        postgresql.stop()


def test_a_killed_server_nobody_has_waited_for_is_replaced(
    postgresql: EmbeddedPostgreSQL, tmp_path: Path
) -> None:
    """Its number is still taken, as it is under a first process that is slow to take notice."""
    postgresql.start()
    postgresql.wait_ready()
    assert postgresql.process is not None
    family = psutil.Process(postgresql.process.pid)
    for process in (family, *family.children()):
        process.kill()
    wait_until_ended([family])
    second = EmbeddedPostgreSQL(tmp_path, sockets_of(tmp_path), durable=False)
    second.start()
    try:
        second.wait_ready()
        assert family.status() == psutil.STATUS_ZOMBIE
        assert rows(tmp_path, "SELECT 1") == [(1,)]
    finally:
        second.stop()


def test_the_product_is_not_the_superuser(postgresql: EmbeddedPostgreSQL, tmp_path: Path) -> None:
    postgresql.start()
    postgresql.wait_ready()
    assert rows(tmp_path, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [
        (False,)
    ]
    assert rows(tmp_path, "SHOW listen_addresses") == [("",)]


def test_a_server_that_outlived_its_parent_is_ended(
    postgresql: EmbeddedPostgreSQL, tmp_path: Path
) -> None:
    postgresql.start()
    postgresql.wait_ready()
    second = EmbeddedPostgreSQL(tmp_path, sockets_of(tmp_path), durable=False)
    second.start()
    try:
        second.wait_ready()
        assert postgresql.process is not None
        assert postgresql.process.wait(5) == 0
        assert rows(tmp_path, "SELECT 1") == [(1,)]
    finally:
        second.stop()


def test_a_killed_server_is_not_replaced_while_a_session_of_it_goes_on(
    postgresql: EmbeddedPostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_postgresql, "ORPHANED_SESSIONS_SECONDS", 0.5)
    postgresql.start()
    postgresql.wait_ready()
    connection = psycopg2.connect(sockets_of(tmp_path).database_url)
    session = psutil.Process(connection.info.backend_pid)
    session.suspend()
    assert postgresql.process is not None
    postgresql.process.kill()
    postgresql.process.wait(10)
    second = EmbeddedPostgreSQL(tmp_path, sockets_of(tmp_path), durable=False)
    try:
        with pytest.raises(PostgreSQLFailed, match="still use"):
            second.start()
        assert (tmp_path / "postgresql" / "postmaster.pid").exists()
    finally:
        session.resume()
        connection.close()
    monkeypatch.undo()
    wait_until_ended([session])
    second.start()
    try:
        second.wait_ready()
        assert rows(tmp_path, "SELECT 1") == [(1,)]
    finally:
        second.stop()


def test_a_lock_file_that_names_another_program_is_removed(tmp_path: Path) -> None:
    lock_file = tmp_path / "postmaster.pid"
    lock_file.write_text(f"{os.getpid()}\n/somewhere\n")
    end_orphan(tmp_path)
    assert not lock_file.exists()


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every account can enter, which those of pytest are not."""
    directory = Path(mkdtemp(prefix="roadstead-open-", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another account")
def test_root_without_namespaces_uses_another_account(
    open_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privileges, "namespaces_work", lambda: False)
    server = EmbeddedPostgreSQL(open_directory, sockets_of(open_directory), durable=False)
    try:
        server.start()
        server.wait_ready()
        assert rows(open_directory, "SELECT 1") == [(1,)]
        assert (open_directory / "postgresql").stat().st_uid != 0
        assert (open_directory / "run" / "pg").stat().st_mode & 0o077 == 0
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another account")
def test_root_without_namespaces_below_a_closed_home_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setattr(privileges, "namespaces_work", lambda: False)
    server = EmbeddedPostgreSQL(home, sockets_of(home), durable=False)
    with pytest.raises(ConfigurationError, match="run the command as an ordinary user"):
        server.start()


def test_a_cluster_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / "PG_VERSION").write_text("9\n")
    with pytest.raises(ConfigurationError, match="was made by PostgreSQL 9, and only"):
        EmbeddedPostgreSQL(tmp_path, sockets_of(tmp_path))


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (embedded_postgresql, "No PostgreSQL is configured or installed"),
        (embedded_redis, "No Redis is configured or installed"),
    ],
)
def test_missing_wheels_give_a_sentence(
    module: object, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    service = EmbeddedPostgreSQL if module is embedded_postgresql else EmbeddedRedis
    with pytest.raises(ConfigurationError, match=sentence):
        service(tmp_path, sockets_of(tmp_path))


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(ConfigurationError, match="belongs to somebody else"):
        private_directory(link)


def test_redis_answers_and_writes_nothing(tmp_path: Path) -> None:
    sockets = sockets_of(tmp_path)
    server = EmbeddedRedis(tmp_path, sockets)
    server.start()
    try:
        server.wait_ready()
        client = Redis.from_url(sockets.redis_url)
        client.set("word", "here")
        assert client.get("word") == b"here"
        assert client.config_get("save") == {"save": ""}
        client.close()
    finally:
        server.stop()
    assert not list(tmp_path.rglob("*.rdb"))


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import signal, subprocess, sys, time\n"
        "from core.config.privileges import preparation\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True,\n"
        "                         preexec_fn=preparation(signal.SIGTERM))\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout as output:
        child = int(output.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(200):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        signal.sigtimedwait([], 0.02)
    pytest.fail("the child outlived its parent")
