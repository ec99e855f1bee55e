"""Failpoints: parsing, counting, and each action."""

import errno
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.common import failpoints

PROJECT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    failpoints.disarm()
    yield
    failpoints.disarm()


def visits_that_fail(name: str, count: int) -> list[int]:
    failed = []
    for visit in range(1, count + 1):
        try:
            failpoints.reach(name)
        except OSError:
            failed.append(visit)
    return failed


@pytest.mark.parametrize(
    ("specification", "failed"),
    [
        ("", []),
        ("upload.other=eio", []),
        ("upload.synced=eio", [1, 2, 3, 4]),
        ("upload.synced=eio@2", [2]),
        ("upload.synced=eio@3+", [3, 4]),
        (" upload.other=kill ; upload.synced=eio@1 ; ", [1]),
    ],
)
def test_when_it_happens(specification: str, failed: list[int]) -> None:
    failpoints.arm(specification)
    assert visits_that_fail("upload.synced", 4) == failed


@pytest.mark.parametrize("action", ["enospc", "edquot", "eio", "erofs"])
def test_error_numbers(action: str) -> None:
    failpoints.arm(f"upload.synced={action}")
    with pytest.raises(OSError, match=r"failpoint upload\.synced") as caught:
        failpoints.reach("upload.synced")
    assert errno.errorcode[caught.value.errno or 0] == action.upper()


def test_sleep(capfd: pytest.CaptureFixture[str]) -> None:
    failpoints.arm("upload.synced=sleep:0.05@1")
    began = time.monotonic()
    failpoints.reach("upload.synced")
    assert time.monotonic() - began >= 0.05
    failpoints.reach("upload.synced")
    assert capfd.readouterr().err == "failpoint upload.synced sleeps\n"


def test_kill() -> None:
    program = (
        "from core.common import failpoints; failpoints.arm('upload.synced=kill@2');"
        "failpoints.reach('upload.synced'); print('once', flush=True);"
        "failpoints.reach('upload.synced'); print('twice', flush=True)"
    )
    child = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, stdout=subprocess.PIPE, check=False
    )
    assert child.returncode == -signal.SIGKILL
    assert child.stdout == b"once\n"


def test_disarm_and_arming_again() -> None:
    failpoints.arm("upload.synced=eio")
    failpoints.arm("upload.other=eio")
    failpoints.reach("upload.synced")
    failpoints.disarm()
    failpoints.reach("upload.other")


@pytest.mark.parametrize(
    "specification",
    [
        "upload.synced",
        "upload.synced=",
        "upload.synced=explode",
        "upload.synced=kill@0",
        "upload.synced=sleep",
        "upload.synced=eio:3",
        "synced=eio",
        "upload.synced=eio,upload.other=eio",
        "upload.synced=eio;upload.synced=kill",
    ],
)
def test_malformed_specification_changes_nothing(specification: str) -> None:
    failpoints.arm("upload.other=eio")
    with pytest.raises(ValueError, match="Failpoint"):
        failpoints.arm(specification)
    assert visits_that_fail("upload.other", 1) == [1]
