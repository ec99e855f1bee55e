"""What a server says when it starts with rows that its configuration does not match."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection

from core.blobs.models import Blob
from core.common.clock import now
from core.config.sockets import sockets_of
from tests.support.server import REPOSITORY_ROOT, free_port
from tests.support.services import DIRECTORY


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("start", [["core.config.first_start"], ["core.config.cli", "web"]])
def test_a_storage_that_is_not_configured_is_told(start: list[str], tmp_path: Path) -> None:
    Blob.objects.create(
        digest=b"\x01" + bytes(32),
        size_bytes=1,
        storage_key="blobs/00/" + 32 * "0",
        store="gone",
        created_at=now(),
    )
    database = urlsplit(sockets_of(DIRECTORY).database_url)
    variables = {
        "ROADSTEAD_DATABASE_URL": database._replace(
            path=f"/{connection.settings_dict['NAME']}"
        ).geturl(),
        "ROADSTEAD_REDIS_URL": sockets_of(DIRECTORY).redis_url,
        "ROADSTEAD_STORAGE_DIR": str(tmp_path / "storage"),
        "ROADSTEAD_PORT": str(free_port()),
        "ROADSTEAD_WORKERS": "1",
        "PYTHONPATH": str(REPOSITORY_ROOT),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", *start],
        env=os.environ | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        said = next((line for line in lines if "storage_not_configured" in line), "")
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert "1 blob is in a storage called gone, which is not configured" in said
    assert "ROADSTEAD_FORMER_STORAGE_NAME=gone" in said
