"""What runs need that are carried out in the tests' own process."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from django.conf import settings
from pytest_django.fixtures import Settings

from jobservice.worker import app as worker
from tests.factories.artifacts import storage_in


@pytest.fixture
def runs_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Send nothing to a broker, know every kind of run, and keep content in a directory."""
    monkeypatch.setattr(worker, "send", lambda run_id: None)
    for module in settings.RUN_TASKS:
        import_module(module)
    changed: Settings = request.getfixturevalue("settings")
    with storage_in(tmp_path / "storage", changed):
        yield
