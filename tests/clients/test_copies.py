"""Copies between projects: the bytes stay where they are, only a link is made."""

from collections.abc import Callable

import pytest

from tests.clients.containers import ContainersClient
from tests.clients.docker import Docker
from tests.clients.images import make_image, make_layer
from tests.clients.management import Management
from tests.clients.protocol import Account, Registry
from tests.clients.records import Records
from tests.clients.references import repository_of
from tests.clients.skopeo import Skopeo
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.client]

Place = Callable[[str], str]


@pytest.fixture
def other_project(management: Management, developer: Account) -> str:
    """Return a second project to which the developer may push."""
    name = management.create_project()
    management.add_member(name, developer, "developer")
    return name


def assert_mounted(records: Records, registry: Registry, source: str, copy: str) -> None:
    """Expect the manifest unchanged and the layers linked; clients send the config anew."""
    manifest = registry.get_manifest(copy, "1").json
    config = manifest["config"]["digest"]
    layers = {each["digest"] for each in manifest["layers"]}
    assert records.committed_digests(copy) <= {config}
    assert records.linked_digests(copy) == {config} | layers
    assert registry.digest_of(copy, "1") == registry.digest_of(source, "1")
    registry.verify(copy, "1")


def test_skopeo_copies_by_mounting(
    skopeo: Skopeo,
    server: RunningServer,
    developer: Account,
    registry: Registry,
    records: Records,
    place: Place,
    other_project: str,
) -> None:
    source, copy = place("1"), f"{server.registry}/{other_project}/copy:1"
    skopeo.log_in(server.registry, developer)
    skopeo.push(skopeo.take(make_image(layers=[make_layer(), make_layer()])), source)

    skopeo.copy(f"docker://{source}", f"docker://{copy}")

    assert_mounted(records, registry, repository_of(source), repository_of(copy))


def test_builders_push_to_a_second_project_by_mounting(
    builder: ContainersClient | Docker,
    server: RunningServer,
    developer: Account,
    registry: Registry,
    records: Records,
    place: Place,
    other_project: str,
) -> None:
    source, copy = place("1"), f"{server.registry}/{other_project}/copy:1"
    builder.log_in(server.registry, developer)
    local = builder.take(make_image(layers=[make_layer(), make_layer()]))
    builder.push(local, source)

    builder.push(local, copy)

    assert_mounted(records, registry, repository_of(source), repository_of(copy))


def test_copy_from_an_unreadable_project_uploads_instead(
    skopeo: Skopeo,
    server: RunningServer,
    management: Management,
    developer: Account,
    administrator: Account,
    registry: Registry,
    records: Records,
    place: Place,
) -> None:
    image = make_image()
    hidden = f"{server.registry}/{management.create_project()}/hidden:1"
    local = skopeo.take(image)
    skopeo.log_in(server.registry, administrator)
    skopeo.push(local, hidden)
    skopeo.log_out()
    skopeo.log_in(server.registry, developer)

    # skopeo remembers where the blobs are and asks to mount them from there.
    skopeo.push(local, place("1"))

    repository = repository_of(place("1"))
    assert records.committed_digests(repository) == records.linked_digests(repository)
    registry.verify(repository, "1")
