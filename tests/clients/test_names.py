"""Names of repositories in paths of the management API, as bytes on a connection."""

import pytest

from tests.clients.images import make_image
from tests.clients.management import Management
from tests.clients.protocol import Registry


@pytest.mark.parametrize("slash", ["%2F", "%252f"])
def test_an_encoded_slash_belongs_to_the_name(
    management: Management, registry: Registry, slash: str
) -> None:
    project, image = management.create_project(), make_image()
    for path, tag in (("a/b", "v3"), ("a/b/artifacts/v3", "v1")):
        for content in (image.config, *(layer.content for layer in image.layers)):
            registry.push_blob(f"{project}/{path}", content)
        assert registry.push_manifest(f"{project}/{path}", tag, image.manifest).status == 201
    named = f"projects/{project}/repositories/{'a/b/artifacts/v3'.replace('/', slash)}"
    assert management.call("GET", named, expect=200).json["name"] == f"{project}/a/b/artifacts/v3"
    management.call("DELETE", named, expect=200)
    management.call("DELETE", named, expect=404)
    assert registry.head_manifest(f"{project}/a/b", "v3").status == 200
    inner = f"projects/{project}/repositories/a{slash}b/artifacts/v3"
    assert management.call("GET", inner, expect=200).json["digest"] == image.digest
