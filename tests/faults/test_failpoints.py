"""Every failpoint of the product is one at which a test dies."""

import re
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, written_modules
from tests.faults.steps import STEPS

pytestmark = pytest.mark.architecture

ELSEWHERE: dict[str, str] = {
    "manifest.push.after_transaction": "tests/faults/test_manifest_crashes.py",
    "manifest.push.in_transaction": "tests/faults/test_manifest_crashes.py",
    "move.adopted": "tests/faults/test_migration.py",
    "move.copied": "tests/faults/test_migration.py",
    "storage.adopt.linked": "tests/core/imports/test_migration.py",
}
"""Failpoint outside uploads -> the test file that kills there."""


def declared() -> set[str]:
    """Return the names of all failpoints in the product's source."""
    return {
        name
        for module in written_modules()
        if module.name != "core.common.failpoints"
        for name in re.findall(r"\breach\(\s*\"([a-z0-9_.]+)\"", module.text)
    }


def test_a_process_dies_at_every_failpoint() -> None:
    assert declared() == {step.failpoint for step in STEPS} | set(ELSEWHERE)
    for name, file in ELSEWHERE.items():
        assert re.search(rf'"{re.escape(name)}=kill', Path(ROOT / file).read_text()), (name, file)
