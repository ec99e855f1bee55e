"""Bodies of the management API, as bytes on a connection."""

import json

from tests.clients.management import Management
from tests.clients.protocol import Answer, Registry


def test_a_body_in_chunks_is_read_like_any_other(
    management: Management, registry: Registry
) -> None:
    def send(method: str, path: str, body: dict[str, object]) -> Answer:
        headers = {"Content-Type": "application/json"}
        text = json.dumps(body).encode()
        pieces = (text[:5], text[5:])
        return registry.request(method, f"/api/v2.0/{path}", body=pieces, headers=headers)

    project = management.create_project()
    changed = send("PUT", f"projects/{project}", {"metadata": {"public": "true"}})
    assert changed.status == 200, changed.body
    shown = management.call("GET", f"projects/{project}", expect=200).json
    assert shown["metadata"]["public"] == "true"
    # What is not known is refused, and nothing is done.
    refused = send("DELETE", f"projects/{project}/trash", {"dry_run": True})
    assert refused.status == 400, refused.body
