"""Storages against rows: what the command's tests do not show."""

import random

import pytest

from core.integrity.contents import _Ids

pytestmark = pytest.mark.pure


def test_ids_are_those_that_were_put_in() -> None:
    choose = random.Random(7)
    numbers = {choose.randrange(1, 2_000_000) for _ in range(500)} | {0, 7, 8, 9, 8_191, 8_192}
    ids = _Ids()
    for number in numbers:
        ids.add(number)
    near = {number + step for number in numbers for step in (-1, 0, 1) if number + step >= 0}
    assert {number for number in near if number in ids} == numbers
    assert 10**9 not in ids
