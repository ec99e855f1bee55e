"""The way of an image: pushed, looked at, pulled into an empty store, deleted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import Clients
from tests.clients.containers import ContainersClient
from tests.clients.docker import Docker
from tests.clients.images import make_image, make_layer
from tests.clients.machines import Client
from tests.clients.management import Management
from tests.clients.protocol import Account, Registry
from tests.clients.records import Records
from tests.clients.references import repository_of, tag_of
from tests.clients.skopeo import Skopeo
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.client]

Place = Callable[[str], str]


def test_pushed_is_what_is_pulled(
    client: Client, server: RunningServer, developer: Account, registry: Registry, place: Place
) -> None:
    reference = place("1.0")
    client.log_in(server.registry, developer)

    client.push(client.take(make_image(layers=[make_layer(), make_layer()])), reference)
    client.clear()
    client.pull(reference)

    digest = registry.digest_of(repository_of(reference), "1.0")
    assert client.pushed_digest() == digest
    assert client.pulled_digest(reference) == digest
    registry.verify(repository_of(reference), "1.0")


def test_push_and_pull_are_recorded(
    client: Client, server: RunningServer, developer: Account, records: Records, place: Place
) -> None:
    reference = place("1.0")
    client.log_in(server.registry, developer)

    client.push(client.take(make_image()), reference)
    client.clear()
    client.pull(reference)

    project = repository_of(reference).partition("/")[0]
    expected = {
        ("artifact.pushed", "success", developer.username),
        ("artifact.pulled", "success", developer.username),
    }
    records.wait_until(lambda: expected <= {entry[:3] for entry in records.audit_actions(project)})


def test_built_image(
    builder: ContainersClient | Docker,
    server: RunningServer,
    developer: Account,
    registry: Registry,
    place: Place,
    tmp_path: Path,
) -> None:
    (tmp_path / "first").write_bytes(b"first")
    (tmp_path / "second").write_bytes(b"second")
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY first /\nCOPY second /\n")
    reference = place("built")
    builder.log_in(server.registry, developer)

    builder.push(builder.build(tmp_path), reference)
    builder.clear()
    builder.pull(reference)

    assert builder.pulled_digest(reference) == builder.pushed_digest()
    assert registry.digest_of(repository_of(reference), "built") == builder.pushed_digest()


def test_anonymous_pull_of_a_public_project(
    client: Client,
    server: RunningServer,
    registry: Registry,
    skopeo: Skopeo,
    administrator: Account,
    public_project: str,
) -> None:
    reference = f"{server.registry}/{public_project}/open:1"
    skopeo.log_in(server.registry, administrator)
    skopeo.push(skopeo.take(make_image()), reference)
    skopeo.log_out()

    client.pull(reference)

    assert client.pulled_digest(reference) == registry.digest_of(f"{public_project}/open", "1")


def test_push_of_the_same_image_again_uploads_nothing(
    client: Client, server: RunningServer, developer: Account, records: Records, place: Place
) -> None:
    reference = place("1")
    client.log_in(server.registry, developer)
    local = client.take(make_image())
    client.push(local, reference)
    before = records.committed_uploads(repository_of(reference))

    client.push(local, reference)

    assert records.committed_uploads(repository_of(reference)) == before


def test_robot_with_a_rotated_secret(
    client: Client,
    server: RunningServer,
    management: Management,
    project: str,
    registry: Registry,
    place: Place,
) -> None:
    robot = management.rotate_robot_secret(management.create_robot(project, "pull", "push"))
    reference = place("robot")
    client.log_in(server.registry, robot.account)

    client.push(client.take(make_image()), reference)
    client.clear()
    client.pull(reference)

    digest = registry.digest_of(repository_of(reference), "robot")
    assert client.pulled_digest(reference) == client.pushed_digest() == digest


def test_personal_token(
    client: Client,
    server: RunningServer,
    management: Management,
    developer: Account,
    registry: Registry,
    place: Place,
) -> None:
    reference = place("token")
    token = management.create_token(developer, "repository:pull", "repository:push")
    client.log_in(server.registry, token)

    client.push(client.take(make_image()), reference)
    client.clear()
    client.pull(reference)

    digest = registry.digest_of(repository_of(reference), "token")
    assert client.pulled_digest(reference) == client.pushed_digest() == digest


def test_inspect_and_list_tags(
    skopeo: Skopeo, server: RunningServer, developer: Account, place: Place
) -> None:
    image = make_image(layers=[make_layer(), make_layer()])
    skopeo.log_in(server.registry, developer)
    local = skopeo.take(image)
    for tag in ("1.0", "latest", "0.9"):
        skopeo.push(local, place(tag))

    shown = json.loads(skopeo.inspect(place("1.0")).output)
    raw = skopeo.inspect(place("1.0"), "--raw").output

    assert shown["Digest"] == skopeo.pushed_digest()
    assert shown["Layers"] == image.layer_digests
    assert shown["Architecture"] == "amd64"
    assert sorted(shown["RepoTags"]) == ["0.9", "1.0", "latest"]
    assert raw.encode() == image.manifest
    assert skopeo.list_tags(place("1.0").rpartition(":")[0]) == ["0.9", "1.0", "latest"]


def test_search_lists_tags(
    clients: Clients, server: RunningServer, developer: Account, place: Place
) -> None:
    podman = clients.get("podman")
    assert isinstance(podman, ContainersClient)
    podman.log_in(server.registry, developer)
    podman.push(podman.take(make_image()), place("2.0"))

    repository = place("2.0").rpartition(":")[0]
    shown = podman.remote("search", "--list-tags", "--format", "json", repository)

    assert json.loads(shown.output) == [{"Name": repository, "Tags": ["2.0"]}]


def test_manifest_inspect(
    docker: Docker, server: RunningServer, developer: Account, registry: Registry, place: Place
) -> None:
    docker.log_in(server.registry, developer)
    docker.push(docker.take(make_image()), place("1"))

    shown = json.loads(docker.run("manifest", "inspect", "--insecure", place("1")).output)

    assert shown == registry.get_manifest(repository_of(place("1")), "1").json


def test_delete(
    skopeo: Skopeo, server: RunningServer, management: Management, project: str,
    registry: Registry, place: Place,
) -> None:  # fmt: skip
    owner = management.create_member(project, "projectAdmin")
    repository = repository_of(place("1"))
    skopeo.log_in(server.registry, owner)
    local, other = skopeo.take(make_image()), skopeo.take(make_image())
    for tag, each in (("1", local), ("same", local), ("2", other)):
        skopeo.push(each, place(tag))
    digest = registry.digest_of(repository, "1")

    skopeo.delete(place("1"))

    # skopeo resolves the tag and deletes the manifest, which takes every tag of it along.
    for reference in ("1", "same", digest):
        assert registry.head_manifest(repository, reference).status == 404
    assert skopeo.list_tags(place("1").rpartition(":")[0]) == ["2"]
    assert not skopeo.inspect(place("1"), check=False).succeeded
    skopeo.pull(place("2"))
    assert tag_of(place("2")) == "2"


@pytest.mark.parametrize("name", ["skopeo", "podman", "docker"])
def test_fifty_layers(
    name: str,
    clients: Clients,
    server: RunningServer,
    developer: Account,
    registry: Registry,
    place: Place,
) -> None:
    client = clients.get(name)
    image = make_image(layers=[make_layer(2_000, name=f"file-{n}") for n in range(50)])
    reference = place("fifty")
    client.log_in(server.registry, developer)

    client.push(client.take(image), reference)
    client.clear()
    client.pull(reference)

    repository = repository_of(reference)
    assert client.pulled_digest(reference) == client.pushed_digest()
    assert len(registry.get_manifest(repository, "fifty").json["layers"]) == 50
    registry.verify(repository, "fifty")
