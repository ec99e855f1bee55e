"""Clients of the registry as the tests use them: people, robots, and what they push."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.registry_api.asgi import Answer, Exchange, Server

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY_JSON = b"{}"
EMPTY_SHA256 = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def sha512(data: bytes) -> str:
    return f"sha512:{hashlib.sha512(data).hexdigest()}"


def basic(username: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{secret}".encode()).decode()


def challenge_of(answer: Answer) -> dict[str, str]:
    """Return the parameters of the one challenge in the answer."""
    given = [value for name, value in answer.all_headers if name == "www-authenticate"]
    assert len(given) == 1, f"one challenge expected, not {given}"
    assert given[0].startswith("Bearer ")
    return dict(_CHALLENGE.findall(given[0]))


@dataclass
class Client:
    """Somebody with credentials (or without), who fetches tokens as clients do."""

    server: Server
    username: str | None = None
    secret: str = ""
    _tokens: dict[str, str] = field(default_factory=dict)

    def ask_token(self, *scopes: str, **fields: str) -> Answer:
        """Send the GET form of a token request."""
        query = "&".join(
            [f"scope={quote(scope)}" for scope in scopes]
            + [f"{name}={quote(value)}" for name, value in fields.items()]
        )
        headers = {} if self.username is None else {"Authorization": self.basic}
        return self.server.request("GET", f"/service/token?{query}", headers=headers)

    def token(self, *scopes: str) -> str:
        """Return a fresh token."""
        answer = self.ask_token(*scopes)
        assert answer.status == 200, answer.body
        token: str = answer.json()["token"]
        return token

    @property
    def basic(self) -> str:
        assert self.username is not None
        return basic(self.username, self.secret)

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Sequence[bytes] | None = None,
        exchange: Exchange | None = None,
        token: str | None = None,
        scope: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Send a request, after following the challenge if no token is given."""
        fields = dict(headers or {})
        if token is None:
            token = self._token_for(method, path)
        fields["Authorization"] = f"Bearer {token}"
        return self.server.request(
            method, path, headers=fields, body=body, exchange=exchange, scope=scope
        )

    def get(self, path: str, **headers: str) -> Answer:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("GET", path, headers=fields)

    def head(self, path: str, **headers: str) -> Answer:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("HEAD", path, headers=fields)

    def delete(self, path: str) -> Answer:
        return self.request("DELETE", path)

    def post(self, path: str, body: bytes | Sequence[bytes] | None = None) -> Answer:
        return self.request("POST", path, body=body)

    def _token_for(self, method: str, path: str) -> str:
        answer = self.server.request(method, path)
        assert answer.status == 401, (answer.status, answer.body)
        scope = challenge_of(answer).get("scope", "")
        if scope not in self._tokens:
            self._tokens[scope] = self.token(*([scope] if scope else []))
        return self._tokens[scope]

    def forget_tokens(self) -> None:
        self._tokens.clear()

    # --- Pushing ------------------------------------------------------------------

    def start_upload(self, name: str, query: str = "") -> str:
        """Begin an upload and return its address."""
        answer = self.post(f"/v2/{name}/blobs/uploads/{query}", b"")
        assert answer.status == 202, answer.body
        return answer.headers["location"]

    def push_blob(self, name: str, data: bytes, digest: str | None = None) -> str:
        """Push a blob with one POST and return its digest."""
        digest = digest or sha256(data)
        answer = self.post(f"/v2/{name}/blobs/uploads/?digest={digest}", data)
        assert answer.status == 201, answer.body
        return digest

    def put_manifest(
        self,
        name: str,
        reference: str,
        payload: bytes,
        media_type: str | None = OCI_MANIFEST,
        **headers: str,
    ) -> Answer:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if media_type is not None:
            fields["Content-Type"] = media_type
        path = f"/v2/{name}/manifests/{reference}"
        return self.request("PUT", path, headers=fields, body=payload)

    def push_image(self, name: str, reference: str, **members: Any) -> bytes:
        """Push an image with one layer under a tag and return its manifest."""
        config, layer = EMPTY_JSON, f"layer of {reference}".encode()
        self.push_blob(name, config)
        self.push_blob(name, layer)
        payload = image_manifest(config, [layer], **members)
        answer = self.put_manifest(name, reference, payload)
        assert answer.status == 201, answer.body
        return payload


def descriptor(data: bytes, media_type: str, **members: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": sha256(data), "size": len(data), **members}


def image_manifest(config: bytes, layers: Iterable[bytes], /, **members: Any) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(config, OCI_CONFIG),
            "layers": [descriptor(layer, OCI_LAYER) for layer in layers],
            **members,
        }
    ).encode()


def index_manifest(children: Iterable[bytes], /, **members: Any) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [descriptor(child, OCI_MANIFEST) for child in children],
            **members,
        }
    ).encode()
