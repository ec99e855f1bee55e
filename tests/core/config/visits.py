"""Visits to the server that the fixture `visit` makes."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

Application = Callable[[Any, Any, Any], Awaitable[None]]
Visitor = Callable[[SimpleNamespace, int], Awaitable[None]]
"""Gets the worker and the port."""

Visit = Callable[[Application, Visitor], None]


async def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds; the visit's own time limit ends a vain wait."""
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("the condition never held")
