"""Kinds of manifests and layers: Docker schema 2, OCI, Zstandard, indexes of platforms."""

import json
from collections.abc import Callable

import pytest

from tests.clients.containers import ContainersClient
from tests.clients.docker import Docker
from tests.clients.images import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    make_image,
    make_layer,
)
from tests.clients.machines import Client
from tests.clients.protocol import Account, Registry
from tests.clients.references import repository_of
from tests.clients.skopeo import Skopeo
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.client]

Place = Callable[[str], str]
FORMATS = {"v2s2": DOCKER_MANIFEST, "oci": OCI_MANIFEST}


@pytest.mark.parametrize("format_name", FORMATS)
def test_skopeo_pushes_both_formats(
    skopeo: Skopeo,
    server: RunningServer,
    developer: Account,
    registry: Registry,
    place: Place,
    format_name: str,
) -> None:
    reference = place(format_name)
    skopeo.log_in(server.registry, developer)

    skopeo.copy(skopeo.take(make_image()), f"docker://{reference}", "--format", format_name)
    skopeo.pull(reference)

    stored = registry.get_manifest(repository_of(reference), format_name)
    assert stored.headers["content-type"] == FORMATS[format_name]
    assert skopeo.pulled_digest(reference) == stored.headers["docker-content-digest"]
    registry.verify(repository_of(reference), format_name)


@pytest.mark.parametrize("format_name", FORMATS)
def test_podman_and_buildah_push_both_formats(
    containers: ContainersClient,
    server: RunningServer,
    developer: Account,
    registry: Registry,
    place: Place,
    format_name: str,
) -> None:
    reference = place(format_name)
    containers.log_in(server.registry, developer)

    containers.push(containers.take(make_image()), reference, "--format", format_name)
    containers.clear()
    containers.pull(reference)

    stored = registry.get_manifest(repository_of(reference), format_name)
    assert stored.headers["content-type"] == FORMATS[format_name]
    assert containers.pulled_digest(reference) == stored.headers["docker-content-digest"]


def test_docker_pushes_schema_2(
    docker: Docker, server: RunningServer, developer: Account, registry: Registry, place: Place
) -> None:
    docker.log_in(server.registry, developer)

    docker.push(docker.take(make_image()), place("1"))

    stored = registry.get_manifest(repository_of(place("1")), "1")
    assert stored.headers["content-type"] == DOCKER_MANIFEST


def test_zstandard_layers(
    skopeo: Skopeo,
    containers: ContainersClient,
    server: RunningServer,
    developer: Account,
    registry: Registry,
    place: Place,
) -> None:
    image = make_image(layers=[make_layer(300_000, compression="zstd"), make_layer()])
    reference = place("zstd")
    skopeo.log_in(server.registry, developer)
    containers.log_in(server.registry, developer)

    skopeo.push(skopeo.take(image), reference)
    containers.pull(reference)

    assert registry.digest_of(repository_of(reference), "zstd") == image.digest
    assert containers.pulled_digest(reference) == image.digest
    registry.verify(repository_of(reference), "zstd")


def test_index_copied_whole(
    skopeo: Skopeo, server: RunningServer, developer: Account, registry: Registry, place: Place
) -> None:
    images = {each: make_image(architecture=each) for each in ("amd64", "arm64", "s390x")}
    local, digest = skopeo.add_index(images)
    skopeo.log_in(server.registry, developer)

    skopeo.copy(local, f"docker://{place('multi')}", "--all")
    skopeo.pull(place("multi"))

    repository = repository_of(place("multi"))
    assert registry.digest_of(repository, "multi") == digest
    assert registry.get_manifest(repository, "multi").headers["content-type"] == OCI_INDEX
    assert skopeo.pulled_digest(place("multi")) == digest
    for image in images.values():
        assert registry.digest_of(repository, image.digest) == image.digest
    registry.verify(repository, "multi")


def test_index_of_which_one_platform_is_pulled(
    client: Client,
    skopeo: Skopeo,
    server: RunningServer,
    developer: Account,
    place: Place,
) -> None:
    images = {each: make_image(architecture=each) for each in ("amd64", "arm64")}
    local, digest = skopeo.add_index(images)
    skopeo.log_in(server.registry, developer)
    client.log_in(server.registry, developer)

    skopeo.copy(local, f"docker://{place('multi')}", "--all")
    client.pull(place("multi"))

    assert client.pulled_digest(place("multi")) in (digest, images["amd64"].digest)


def test_list_made_by_podman_and_buildah(
    containers: ContainersClient,
    server: RunningServer,
    developer: Account,
    registry: Registry,
    place: Place,
) -> None:
    reference = place("list")
    containers.log_in(server.registry, developer)
    local = {each: containers.take(make_image(architecture=each)) for each in ("amd64", "arm64")}

    digest = containers.push_list(local, reference)
    containers.clear()
    containers.pull(reference)

    stored = registry.get_manifest(repository_of(reference), "list")
    assert stored.headers["docker-content-digest"] == digest
    assert stored.headers["content-type"] in (OCI_INDEX, DOCKER_LIST)
    platforms = {each["platform"]["architecture"] for each in stored.json["manifests"]}
    assert platforms == {"amd64", "arm64"}
    registry.verify(repository_of(reference), "list")


def test_list_made_by_docker(
    docker: Docker, server: RunningServer, developer: Account, registry: Registry, place: Place
) -> None:
    docker.log_in(server.registry, developer)
    parts = {}
    for architecture in ("amd64", "arm64"):
        parts[architecture] = place(architecture)
        docker.push(docker.take(make_image(architecture=architecture)), parts[architecture])

    docker.run("manifest", "create", "--insecure", place("list"), *parts.values())
    for architecture, part in parts.items():
        docker.run("manifest", "annotate", "--arch", architecture, place("list"), part)
    pushed = docker.run("manifest", "push", "--insecure", place("list")).output.split()[-1]

    stored = registry.get_manifest(repository_of(place("list")), "list")
    assert stored.headers["docker-content-digest"] == pushed
    assert stored.headers["content-type"] == DOCKER_LIST
    assert len(json.loads(stored.body)["manifests"]) == 2
    docker.clear()
    docker.pull(place("list"))
    assert docker.pulled_digest(place("list")) == pushed
