"""Redis gone, the server gone right after a pull: what must go on, and what must be known."""

import json
import time
from pathlib import Path

import psutil
import pytest
from redis import Redis

from core.config.embedded_redis import EmbeddedRedis
from core.config.sockets import sockets_of
from tests.clients.images import Image, make_image
from tests.clients.management import Management
from tests.clients.protocol import Account, Registry
from tests.faults.invariants import Store
from tests.faults.load import Load
from tests.faults.patience import Patience
from tests.faults.pulls import check_everything
from tests.faults.uploads import random_content
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.slow]


def push(registry: Registry, repository: str, tag: str) -> Image:
    """Push a small image with raw requests."""
    image = make_image()
    for content in (image.config, *(layer.content for layer in image.layers)):
        registry.push_blob(repository, content)
    assert registry.push_manifest(repository, tag, image.manifest).status == 201
    return image


def push_and_pull_without_redis(registry: Registry, repository: str, redis: psutil.Process) -> None:
    """Kill Redis in the middle of an upload and go on for longer than a supervisor looks."""
    content, digest = random_content(3_000_000)
    push(registry, repository, "before")
    location = registry.start_upload(repository)
    assert registry.append(location, content[:1_000_000]).status == 202

    redis.kill()

    assert registry.append(location, content[1_000_000:], start=1_000_000).status == 202
    assert registry.finish(location, digest).status == 201
    assert registry.get_blob(repository, digest).body == content
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        registry.verify(repository, "before")
        push(registry, repository, "after")
        time.sleep(0.2)
    registry.verify(repository, "after")


@pytest.mark.parametrize("disturbance", ["flushed", "silent"])
def test_redis_flushed_or_silent_under_load(
    server: RunningServer, registry: Registry, account: Account, repository: str, disturbance: str
) -> None:
    """Every request succeeds at once: not one is repeated, and none waits for Redis."""
    (redis,) = [each for each in server.processes() if "redis" in " ".join(each.cmdline()[:1])]
    client = Redis.from_url(sockets_of(server.data_dir).redis_url)
    with Load(server.registry, account, repository, patience=Patience(60)) as load:
        if disturbance == "silent":
            redis.suspend()
        try:
            for _time in range(5):
                if disturbance == "flushed":
                    client.flushall()
                load.wait_for_progress(4)
        finally:
            redis.resume()
            client.close()
    assert load.patience.retries == 0


def test_own_redis_dies_during_push_and_pull(
    server: RunningServer, registry: Registry, repository: str
) -> None:
    (redis,) = [each for each in server.processes() if "redis" in " ".join(each.cmdline()[:1])]

    push_and_pull_without_redis(registry, repository, redis)


def test_other_redis_dies_during_push_and_pull(account: Account, tmp_path: Path) -> None:
    sockets = sockets_of(tmp_path)
    redis = EmbeddedRedis(tmp_path, sockets)
    redis.start()
    redis.wait_ready()
    assert redis.process is not None
    try:
        with RunningServer(redis_url=sockets.redis_url) as server:
            registry = Registry(server.registry, account)
            repository = f"{Management(server.registry, account).create_project()}/thing"
            push_and_pull_without_redis(registry, repository, psutil.Process(redis.process.pid))
            check_everything(server, Store(server.data_dir), account)
            server.kill()
    finally:
        redis.stop()


def test_pull_is_known_after_a_crash(
    server: RunningServer, store: Store, registry: Registry, repository: str
) -> None:
    image = push(registry, repository, "1")
    pulled = registry.get_manifest(repository, "1")
    assert pulled.body == image.manifest

    # Half a second, as tests/core/audit/test_buffer.py knows, on a machine that has the time.
    project, is_pulled = repository.partition("/")[0], ("artifact.pulled", "success")
    store.records.wait_until(
        lambda: is_pulled in [entry[:2] for entry in store.records.audit_actions(project)],
        timeout=30,
    )
    server.kill()
    server.start()

    entries = [entry[:2] for entry in store.records.audit_actions(project)]
    assert is_pulled in entries
    waiting, counted = store.records.rows(
        "SELECT (SELECT coalesce(sum(p.pulls), 0) FROM artifacts_pullrecord p"
        "         WHERE p.repository_id = r.id), r.pull_count"
        "  FROM artifacts_repository r WHERE r.name = %s",
        repository,
    )[0]
    assert waiting + counted == 1


def test_tagged_image_survives_a_crash_right_after_its_push(
    server: RunningServer, registry: Registry, repository: str
) -> None:
    image = push(registry, repository, "1")

    server.kill()
    server.start()

    assert registry.digest_of(repository, "1") == image.digest
    registry.verify(repository, "1")
    assert json.loads(registry.request("GET", f"/v2/{repository}/tags/list").body)["tags"] == ["1"]
