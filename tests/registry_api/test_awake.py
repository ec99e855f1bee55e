"""An event loop stays awake for what came soon the last time, and for nothing else."""

import asyncio
import selectors
from collections.abc import Callable
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


class Observed(selectors.DefaultSelector):
    """Sees how long its event loop means to sleep in each turn, and does not sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.look: Callable[[float | None], None] = lambda _timeout: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.look(timeout)
        return super().select(0)


def turns_awake(waiting: Awake, turns: int = 9) -> int:
    """Return for how many turns of a wait the loop would not have slept."""
    found: list[float | None] = []
    selector = Observed()

    async def wait() -> None:
        loop = asyncio.get_running_loop()
        has_waited = asyncio.Event()

        def look(timeout: float | None) -> None:
            found.append(timeout)
            if len(found) == turns or timeout != 0:
                loop.call_soon(has_waited.set)

        waiting.begin(loop)
        selector.look = look
        await has_waited.wait()
        selector.look = lambda _timeout: None
        waiting.end()

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(wait())
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
