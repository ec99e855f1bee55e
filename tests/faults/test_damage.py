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


@pytest.mark.parametrize(
    ("damage", "kind"),
    [(flip, "blob-content"), (cut, "blob-size"), (Path.unlink, "blob-missing")],
    ids=["flipped", "short", "missing"],
)
def test_damage_is_found_and_healed_by_pushing_again(
    server: RunningServer,
    store: Store,
    registry: Registry,
    repository: str,
    damage: Any,
    kind: str,
) -> None:
    image = make_image()
    contents = (image.config, *(layer.content for layer in image.layers))
    for content in contents:
        registry.push_blob(repository, content)
    assert registry.push_manifest(repository, "v1", image.manifest).status == 201
    assert fsck(server) == (0, [])
    layer = image.layers[0].content
    key = store.records.value(
        "SELECT storage_key FROM blobs_blob WHERE digest = %s",
        b"\x01" + bytes.fromhex(sha256(layer).removeprefix("sha256:")),
    )
    damage(store.directory.object_file(key))

    code, problems = fsck(server)

    assert code == 1
    assert [(problem["kind"], problem["where"]) for problem in problems] == [(kind, sha256(layer))]
    assert registry.get_blob(repository, sha256(layer)).status == 500
    # Whoever may push is told to send it again, as any client does that pushes the image.
    assert registry.head_blob(repository, sha256(layer)).status == 404
    registry.push_blob(repository, layer)
    registry.verify(repository, "v1")
    assert fsck(server) == (0, [])
