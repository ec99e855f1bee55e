"""An event loop stays awake for what came soon the last time, and for nothing else."""

import asyncio
from itertools import count

import pytest

from registry_api import awake
from registry_api.awake import Awake

pytestmark = pytest.mark.pure


STEP = awake.AWAKE_SECONDS / 4
"""How far the clock goes each time it is looked at."""


@pytest.fixture(autouse=True)
def two_processors_and_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awake, "_CAN_STAY_AWAKE", True)
    monkeypatch.setattr(awake, "perf_counter", count(0, STEP).__next__)


def turns_awake(waiting: Awake, turns: int = 9) -> int:
    """Return for how many turns of a wait the loop would not have slept."""
    found: list[float | None] = []

    async def wait() -> None:
        loop = asyncio.get_running_loop()
        select = loop._selector.select  # type: ignore[attr-defined]
        has_waited = asyncio.Event()

        def observed(timeout: float | None) -> object:
            found.append(timeout)
            if len(found) == turns or timeout != 0:
                loop.call_soon(has_waited.set)
            return select(0)

        waiting.begin(loop)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop._selector, "select", observed)  # type: ignore[attr-defined]
            await has_waited.wait()
        waiting.end()

    asyncio.run(wait())
    return found.index(None) if None in found else turns


def test_the_loop_stays_awake_for_a_while_and_then_sleeps() -> None:
    assert turns_awake(Awake()) == 4


def test_the_loop_sleeps_for_what_did_not_come_soon() -> None:
    waiting = Awake()
    assert turns_awake(waiting) == 4
    # The end came behind that, so the next wait is asleep; it is short, so the one after is not.
    assert turns_awake(waiting) == 0
    assert turns_awake(waiting, turns=2) == 2
    assert turns_awake(waiting) == 4


def test_one_processor_is_left_to_whoever_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awake, "_CAN_STAY_AWAKE", False)
    assert turns_awake(Awake()) == 0
