"""`roadstead serve` as a person lives with it: start, stop, again, twice, and after a crash."""

import json
import re
import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.config.supervisor import Part, Supervisor
from tests.support.server import PASSWORD, RunningServer

pytestmark = pytest.mark.server

READY_CPU_SECONDS = 8.0
MEMORY_LIMIT_BYTES = 700 << 20


@pytest.fixture(params=[PASSWORD], ids=["copied"])
def one(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """A server of its own for one test; without a password it makes one at a first start."""
    server = RunningServer(tmp_path / "one", password=request.param, workers="1")
    yield server
    try:
        server.stop()
    finally:
        server.remove()


def read(url: str) -> dict[str, object]:
    """Return the JSON at `url`."""
    with urllib.request.urlopen(url, timeout=10) as response:
        content: dict[str, object] = json.load(response)
        return content


def assert_gone(processes: list[psutil.Process], seconds: float) -> None:
    """Fail if one of the processes still runs after `seconds`."""
    _gone, alive = psutil.wait_procs(processes, timeout=seconds)
    assert not alive


def wait_for_worker(server: RunningServer) -> None:
    """Wait until the worker takes orders, so that it has something to say about its end."""
    for _ in range(200):
        if "celery.apps.worker" in server.output():
            return
        signal.sigtimedwait([], 0.1)
    pytest.fail("the worker does not come up")


@pytest.mark.parametrize("one", [None], ids=["new"], indirect=True)
def test_first_start_ctrl_c_and_second_start(one: RunningServer) -> None:
    one.start()
    assert len(one.made_password) >= 12
    assert f"docker login {one.registry} -u admin" in one.output()
    assert f"podman login --tls-verify=false {one.registry} -u admin" in one.output()
    assert read(f"{one.url}/readyz") == {"status": "ready", "faults": []}
    assert read(f"{one.url}/livez") == {"status": "alive"}
    family = one.processes()
    wait_for_worker(one)
    said = one.output()
    assert one.stop(signal.SIGINT) == 0
    assert one.output().removeprefix(said) == "\nStopping ...\nStopped.\n"
    assert_gone(family, 0)

    one.start()
    assert one.cpu_seconds() < READY_CPU_SECONDS
    assert "Password:" not in one.output()
    assert "Traceback" not in one.output()


def test_killed_supervisor_leaves_nothing_and_the_next_start_recovers(one: RunningServer) -> None:
    one.start()
    family = one.processes()
    one.kill_supervisor()
    one.start()
    assert_gone(family, 5)
    one.kill()
    one.start()
    assert read(f"{one.url}/readyz") == {"status": "ready", "faults": []}


def test_killed_web_processes_are_started_again(one: RunningServer) -> None:
    one.start()
    one.kill_web_processes()
    for _ in range(100):
        try:
            assert read(f"{one.url}/livez") == {"status": "alive"}
        except OSError:
            signal.sigtimedwait([], 0.1)
        else:
            return
    pytest.fail("no web process came back")


def test_two_servers_and_those_that_are_refused(server: RunningServer, tmp_path: Path) -> None:
    with RunningServer(tmp_path / "two", workers="1") as other:
        assert read(f"{other.url}/livez") == read(f"{server.url}/livez")
        same_directory = RunningServer(other.data_dir)
        assert same_directory.launch().wait(30) == 1
        assert same_directory.output() == (
            f"Another server (process {other.pid}) uses {other.data_dir}: stop it, or choose "
            "another directory with --data-dir.\n"
        )
    same_port = RunningServer(tmp_path / "three", port=server.port)
    assert same_port.launch().wait(30) == 1
    assert same_port.output() == (
        f"Port {server.port} of 127.0.0.1 cannot be used (Address already in use): stop the "
        "program that holds it, or choose another with --port.\n"
    )
    same_port.remove()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"database_url": "postgresql://app:hidden@127.0.0.1:1/app"},
            "The database cannot be reached (.*Connection refused): start its server, or correct "
            "ROADSTEAD_DATABASE_URL.",
        ),
        (
            {"redis_url": "redis://:hidden@127.0.0.1:1/0"},
            "Redis at redis://:********@127.0.0.1:1/0 cannot be reached (.*Connection refused): "
            "start its server, or correct ROADSTEAD_REDIS_URL.",
        ),
        (
            {"storage_dir": "/dev/null/storage"},
            "The storage directory /dev/null/storage cannot be prepared: Not a directory "
            "(/dev/null/storage).",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(
    variables: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    server = RunningServer(tmp_path / "one", workers="1", **variables)
    assert server.launch().wait(60) == 1
    pattern = re.escape(sentence).replace(r"\.\*", ".*")
    assert re.fullmatch(pattern + "\n", server.output()), server.output()
    server.remove()


def test_memory_when_idle(server: RunningServer) -> None:
    assert server.memory_bytes() < MEMORY_LIMIT_BYTES


def test_an_idle_connection_does_not_hold_up_the_stop(one: RunningServer) -> None:
    one.start()
    with socket.create_connection(("127.0.0.1", one.port)) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        with socket.create_connection(("127.0.0.1", one.port)):
            assert one.stop(timeout=15) == 0


def test_a_part_that_keeps_ending_stops_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.config.supervisor.RESTART_DELAY_SECONDS", 0.0)
    supervisor = Supervisor([Part("worker", ["false"], {"PATH": "/bin:/usr/bin"})], [])
    supervisor.start()
    assert supervisor.watch() == "worker keeps ending, at last with code 1"
