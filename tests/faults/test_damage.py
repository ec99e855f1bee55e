"""Edge case 110: content that is damaged on the disk is found, never served, and healed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.images import make_image, sha256
from tests.clients.protocol import Registry
from tests.faults.invariants import Store
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.slow]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def fsck(server: RunningServer) -> tuple[int, list[dict[str, Any]]]:
    """Check everything, with all content, and return exit code and problems."""
    done = server.command("fsck", "--read-content", "--json")
    return done.returncode, json.loads(done.stdout)["problems"]


DAMAGES = {"blob-content": flip, "blob-size": cut, "blob-missing": Path.unlink}
"""Kind of problem that is found -> what was done to the file."""


def test_damage_is_found_and_healed_by_pushing_again(
    server: RunningServer, store: Store, registry: Registry, repository: str
) -> None:
    images = {kind: make_image() for kind in DAMAGES}
    for kind, image in images.items():
        for content in (image.config, *(layer.content for layer in image.layers)):
            registry.push_blob(repository, content)
        assert registry.push_manifest(repository, kind, image.manifest).status == 201
    assert fsck(server) == (0, [])
    layers = {kind: image.layers[0].content for kind, image in images.items()}
    for kind, layer in layers.items():
        DAMAGES[kind](store.directory.object_file(key_of(store, layer)))

    code, problems = fsck(server)

    assert code == 1
    found = {(problem["kind"], problem["where"]) for problem in problems}
    assert found == {(kind, sha256(layer)) for kind, layer in layers.items()}
    assert len(problems) == len(DAMAGES)
    for kind, layer in layers.items():
        assert registry.get_blob(repository, sha256(layer)).status == 500
        # Whoever may push is told to send it again, as any client does that pushes the image.
        assert registry.head_blob(repository, sha256(layer)).status == 404
        registry.push_blob(repository, layer)
        registry.verify(repository, kind)
    assert fsck(server) == (0, [])


def key_of(store: Store, content: bytes) -> str:
    """Return the storage key of a blob."""
    key: str = store.records.value(
        "SELECT storage_key FROM blobs_blob WHERE digest = %s",
        b"\x01" + bytes.fromhex(sha256(content).removeprefix("sha256:")),
    )
    return key
