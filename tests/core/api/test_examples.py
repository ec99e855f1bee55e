"""The examples of the OpenAPI document, sent to the server as they stand there."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse

from core.api.example_bodies import BODIES
from core.api.system import openapi_document
from core.artifacts.models import Manifest
from core.labels.models import Label
from tests.core.api.cast import undone
from tests.core.api.stage import Stage, set_stage
from tests.core.api.test_openapi import operations
from tests.factories.labels import put_label
from tests.factories.users import make_user

pytestmark = pytest.mark.django_db

NOTHING = {"application/json": {"example": None}}
# What cannot come true on one stage.
OTHERWISE = {
    "deleteAProject": 412,  # it holds a repository
    "deleteTheArtifactTaggedBulk": 404,
    "endAnOwnSession": 404,  # the caller has credentials in a header, and no session
    "getAPersonalAccessToken": 404,
    "getAnIcon": 404,  # there are none
    "getAnOwnSession": 404,
    "getTheArtifactTaggedBulk": 404,
    "getTheAuthoritySCertificate": 404,  # TLS ends in front of the server
    "labelAnArtifact": 409,  # the label is there, to be taken off
    "restoreATag": 404,  # the digest is an invented one
    "revokeAPersonalAccessToken": 404,
}


def test_examples_succeed(tmp_path: Path) -> None:
    """Whoever sends an example to a registry with such a project gets what is promised."""
    with set_stage(tmp_path, project="library", tag="v1.2.0") as stage:
        named = names_on(stage)
        found = {}
        for path, method, operation in operations(openapi_document()):
            if "x-later" in operation:
                continue
            with undone():
                response = send(stage, named, path, method, operation)
            found[operation["operationId"]] = response.status_code
            if operation["operationId"] not in OTHERWISE:
                promised = min(int(status) for status in operation["responses"])
                assert response.status_code == promised, (method, path, response.content)
        assert {name: found[name] for name in OTHERWISE} == OTHERWISE
    assert len(found) > 100


def names_on(stage: Stage) -> dict[str, Any]:
    """Return what is there under the names of the parameters of paths."""
    put_label(Label.objects.get(pk=stage.ids["global_label"]), Manifest.objects.get().pk)
    make_user("alice", password=BODIES["Login"]["password"])
    return {
        **stage.ids,
        "user": stage.ids["outsider"],
        "label": stage.ids["global_label"],
        "immutable_rule": stage.ids["rule"],
        "grant": f"u-{stage.ids['limited']}-pull",
        "project": "library",
    }


def send(
    stage: Stage, named: dict[str, Any], path: str, method: str, operation: dict[str, Any]
) -> HttpResponse:
    """Send the examples of one operation, with the ids of what is there."""
    query = {}
    for row in operation.get("parameters", []):
        if row["in"] == "path":
            name = row["name"].removesuffix("_id")
            path = path.replace(f"{{{row['name']}}}", str(named.get(name, row["example"])))
        elif row["in"] == "query" and row["name"] != "format":
            query[row["name"]] = str(row["example"]).lower()
    where = f"{path}?{urlencode(query)}" if query else path
    ((kind, content),) = operation.get("requestBody", {}).get("content", NOTHING).items()
    if kind == "application/json":
        return stage.cast["admin"].call(method.upper(), where, content.get("example"))
    form = urlencode(content["example"]).encode()
    return stage.cast["anonymous"].call(method.upper(), where, raw=form, content_type=kind)
