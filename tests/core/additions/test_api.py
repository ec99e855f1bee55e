"""Additions of artifacts over the management API."""

import json
from collections.abc import Sequence

import pytest

from core.artifacts.models import Manifest
from core.blobs.models import Blob
from core.oci.media_types import (
    HELM_CHART_CONFIG,
    HELM_CHART_CONTENT,
    MODEL_CONFIG,
    OCI_IMAGE_MANIFEST,
    SPDX_JSON,
    WASM_CONFIG,
)
from tests.core.api.cast import Cast, body_of, errors_of
from tests.factories.archives import tar, tar_gz
from tests.factories.artifacts import descriptor, image_document, make_blob, make_image, push

APP = "/projects/secret/repositories/app/artifacts"
CHART = {
    "name": "app",
    "version": "1.2.3",
    "apiVersion": "v2",
    "dependencies": [{"name": "db", "version": "1", "repository": "oci://x", "odd": 1}, "odd"],
}
CHART_FILES = [
    ("app/charts/db/README.md", b"of another"),
    ("app/values.yaml", b"replicas: 1\n"),
    ("app/README.md", b"# App"),
]


def push_artifact(
    cast: Cast,
    tag: str,
    config: tuple[bytes, str],
    layers: Sequence[tuple[bytes, str] | tuple[bytes, str, str]],
) -> None:
    for content in (config, *layers):
        make_blob(cast.project, content[0])
    described = [
        descriptor(
            layer[0],
            layer[1],
            annotations={"org.cncf.model.filepath": layer[2]} if len(layer) > 2 else {},
        )
        for layer in layers
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_MANIFEST,
        "config": descriptor(*config),
        "layers": described,
    }
    push(cast.project, json.dumps(document).encode(), tag)


def addition(cast: Cast, tag: str, name: str, status: int = 200) -> tuple[str, bytes]:
    response = cast["guest"].get(f"{APP}/{tag}/additions/{name}")
    assert response.status_code == status, response.content
    assert status == 200 or errors_of(response)
    return response["Content-Type"].partition(";")[0], response.content


def test_an_image(cast: Cast) -> None:
    config = json.dumps({"history": [{"created_by": "RUN x"}, "odd"]}).encode()
    image = make_image(cast.project, "v1", config=config)
    kind, content = addition(cast, "v1", "build_history")
    assert (kind, json.loads(content)) == ("application/json", [{"created_by": "RUN x"}])
    assert addition(cast, "v1", "vulnerabilities") == ("application/json", b"{}")
    for name in ("values.yaml", "files", "nonsense"):
        addition(cast, "v1", name, 400)
    addition(cast, "v1", "sbom", 404)
    addition(cast, "missing", "sbom", 404)
    payload = bytes(Manifest.objects.get(pk=image.id).payload)
    make_blob(cast.project, b'{"spdxVersion": "2.3"}')
    about = image_document(
        b"{}", [b'{"spdxVersion": "2.3"}'], subject=payload, artifact_type=SPDX_JSON
    )
    make_blob(cast.project, b"{}")
    push(cast.project, about)
    assert addition(cast, "v1", "sbom") == ("application/json", b'{"spdxVersion": "2.3"}')
    Blob.objects.update(damaged_at="2026-01-01T00:00:00Z")
    addition(cast, "v1", "build_history", 404)


def test_a_chart(cast: Cast) -> None:
    config = (json.dumps(CHART).encode(), HELM_CHART_CONFIG)
    push_artifact(cast, "v1", config, [(tar_gz(CHART_FILES), HELM_CHART_CONTENT)])
    shown = body_of(cast["guest"].get(f"{APP}/v1"))
    assert (shown["type"], shown["extra_attrs"]) == ("CHART", CHART)
    assert sorted(shown["addition_links"]) == ["dependencies", "readme.md", "values.yaml"]
    assert addition(cast, "v1", "values.yaml") == ("text/plain", b"replicas: 1\n")
    assert addition(cast, "v1", "readme.md") == ("text/markdown", b"# App")
    kind, content = addition(cast, "v1", "dependencies")
    dependency = {"name": "db", "version": "1", "repository": "oci://x"}
    assert (kind, json.loads(content)) == ("application/json", [dependency])
    push_artifact(cast, "bare", config, [(tar_gz(CHART_FILES[:1]), HELM_CHART_CONTENT)])
    addition(cast, "bare", "readme.md", 404)
    push_artifact(cast, "broken", config, [(b"no archive", HELM_CHART_CONTENT)])
    addition(cast, "broken", "readme.md", 412)
    bomb = tar_gz([("app/large", bytes(8 << 20)), *CHART_FILES])
    push_artifact(cast, "bomb", config, [(bomb, HELM_CHART_CONTENT)])
    addition(cast, "bomb", "readme.md", 412)
    push_artifact(cast, "nameless", (b"[]", HELM_CHART_CONFIG), [(b"x", HELM_CHART_CONTENT)])
    addition(cast, "nameless", "readme.md", 404)


def test_a_model_and_the_rest(cast: Cast) -> None:
    doc = "application/vnd.cncf.model.doc.v1."
    layers = [
        (tar([("README.md", b"# Model")]), f"{doc}tar", "README.md"),
        (b"Do as you like.", f"{doc}raw", "LICENSE"),
        (b"weights", "application/vnd.cncf.model.weight.v1.raw", "model/weights"),
    ]
    push_artifact(cast, "model", (b'{"m": 1}', MODEL_CONFIG), layers)
    assert addition(cast, "model", "readme.md") == ("text/markdown", b"# Model")
    assert addition(cast, "model", "license") == ("text/plain", b"Do as you like.")
    files = json.loads(addition(cast, "model", "files")[1])
    assert [file["name"] for file in files] == ["LICENSE", "README.md", "model"]
    push_artifact(cast, "wasm", (b'{"w": 1}', WASM_CONFIG), [(b"wasm", "application/wasm")])
    assert addition(cast, "wasm", "build_history")[1] == b"[]"
    push_artifact(cast, "odd", (b'{"o": 1}', "application/x-odd"), [(b"odd", "text/odd")])
    shown = body_of(cast["guest"].get(f"{APP}/odd"))
    assert (shown["type"], shown["extra_attrs"]) == ("UNKNOWN", {"o": 1})
    assert "addition_links" not in shown
    addition(cast, "odd", "build_history", 400)


@pytest.mark.parametrize(("digest", "status"), [(f"sha256:{'0' * 64}", 404), ("odd", 400)])
def test_there_are_no_icons(cast: Cast, digest: str, status: int) -> None:
    assert cast["anonymous"].get(f"/icons/{digest}").status_code == status
