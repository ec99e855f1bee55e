"""Routes about the installation: the room of its storage, and its certificate."""

import os
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from core.storage.s3.driver import S3Driver
from core.storage.selection import default_driver
from tests.core.api.cast import Cast, anonymous, body_of, errors_of
from tests.factories.artifacts import storage_in

VOLUMES = "/systeminfo/volumes"


def test_the_room_of_a_directory(cast: Cast, tmp_path: Path, settings: Settings) -> None:
    with storage_in(tmp_path, settings):
        (volume,) = body_of(cast["admin"].get(VOLUMES))["storage"]
    figures = os.statvfs(tmp_path)
    assert volume["total"] == figures.f_blocks * figures.f_frsize
    assert 0 <= volume["free"] <= volume["total"]


def test_nobody_knows_the_room_of_a_bucket(
    cast: Cast, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with storage_in(tmp_path, settings):
        for figure in ("total_bytes", "free_bytes"):
            monkeypatch.setattr(type(default_driver()), figure, getattr(S3Driver, figure))
        assert body_of(cast["admin"].get(VOLUMES)) == {"storage": []}


def test_there_is_no_certificate_to_download(db: None) -> None:
    refused = anonymous().get("/systeminfo/getcert")
    assert refused.status_code == 404
    assert "certificate" in errors_of(refused)[0]["message"]
