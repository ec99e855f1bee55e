"""Examples and shared error responses of the OpenAPI document.

Views describe shapes; an example of every shape is made here from the names of its members, so
that all of them tell of the same small registry and none can contradict its schema.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from core.api.errors import envelope
from core.api.example_bodies import BODIES

METHODS = ("get", "post", "put", "patch", "delete", "head")
_DIGEST = "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
_TIME = "2026-01-31T13:45:00.123Z"
_DEEPEST = 12
# What a map holds, by the type of its values: metadata, limits, selectors.
_KEYS = {"string": "public", "integer": "storage", "array": "repository"}

VALUES: Mapping[str, Any] = {
    "Member.entity_type": "u",
    "Member.entity_name": "alice",
    "RobotPermission.kind": "project",
    "Component.name": "database",
    "TagRequest.name": "v1.2.0",
    "Tag.name": "v1.2.0",
    "Repository.name": "library/team/app",
    "Project.name": "library",
    "Robot.name": "robot-library+ci",
    "RobotCreated.name": "robot-library+ci",
    "RobotCreate.name": "ci",
    "Accessory.type": "signature.cosign",
    "ScanAllPolicy.type": "none",
    "action": "pull",
    "address": "192.0.2.7",
    "cve_id": "CVE-2026-0001",
    "decoration": "matches",
    "description": "For the build of the product",
    "digest": _DIGEST,
    "email": "alice@example.com",
    "event_type": "create_artifact",
    "external_url": "https://registry.example.com",
    "group_name": "developers",
    "harbor_version": "v2.14.0-roadstead-1.0.0",
    "kind": "doublestar",
    "level": "project",
    "media_type": "application/vnd.oci.image.config.v1+json",
    "manifest_media_type": "application/vnd.oci.image.manifest.v1+json",
    "message": "",
    "name": "example",
    "namespace": "library",
    "new_password": "Correct-horse-9",
    "old_password": "Earlier-horse-8",
    "operation": "create",
    "owner_name": "alice",
    "pattern": "v*",
    "password": "Correct-horse-9",
    "permission": "repository:pull",
    "permissions": ["repository:pull"],
    "project_name": "library",
    "realname": "Alice",
    "reference": "v1.2.0",
    "registry_id": 0,
    "registry_url": "registry.example.com",
    "repository": "team%252Fapp",
    "repository_name": "library/team/app",
    "resource": "repository",
    "resource_type": "project",
    "role_id": 2,
    "role_name": "developer",
    "scopes": ["management:read"],
    "secret": "",
    "size": 2811478,
    "storage_limit": -1,
    "subject_artifact_digest": _DIGEST,
    "tag": "v1.2.0",
    "type": "IMAGE",
    "user_agent": "docker/28.0",
    "username": "alice",
    "project": "library",
    "public": "true",
    "q": "name=~app",
    "sort": "-update_time",
    "page": 1,
    "page_size": 10,
    "addition": "build_history",
    "copyAnArtifact.from": "library/team/app:v1.2.0",
    "deleteOneOfAProjectSMetadata.meta_name": "reuse_sys_cve_allowlist",
    "entityname": "ali",
    "from": "2026-01-01",
    "group_by": "day",
    "groupname": "dev",
    "listProjects.name": "lib",
    "listQuotas.reference": "project",
    "meta_name": "public",
    "owner": "alice",
    "reference_id": "1",
    "scope": "/project/1",
    "to": "2026-01-31",
    "user": "alice",
}
"""Member of a shape (``Shape.member`` or any ``member``) or parameter (``operation.parameter``)
to its example."""


def add_examples(result: dict[str, Any], **_others: object) -> dict[str, Any]:
    """Give every parameter, request and response an example; share the error responses.

    A hook of drf-spectacular, called with the whole document.
    """
    components = result.setdefault("components", {})
    shapes = _Shapes(components.get("schemas", {}))
    for operation in operations_of(result):
        for parameter in operation.get("parameters", ()):
            if "example" not in parameter:
                schema, name = parameter["schema"], parameter["name"]
                parameter["example"] = shapes.example(schema, name, operation["operationId"])
        for content in _contents(operation.get("requestBody", {})):
            _add(shapes, content, operation["operationId"])
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                operation["responses"][status] = _shared(components, status, response)
                continue
            for content in _contents(response):
                _add(shapes, content, operation["operationId"])
    return result


def operations_of(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Return every operation of a document."""
    for path in document["paths"].values():
        for method in METHODS:
            if method in path:
                yield path[method]


def _contents(described: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from described.get("content", {}).values()


def _add(shapes: "_Shapes", content: dict[str, Any], operation_id: str) -> None:
    if "example" in content or "examples" in content:
        return
    whole = BODIES.get(_shape_of(content) or operation_id)
    content["example"] = shapes.example(content["schema"], "") if whole is None else whole


def _shape_of(content: Mapping[str, Any]) -> str:
    """Return the name of the shape of some content, nothing when it has none."""
    return str(content["schema"].get("$ref", "")).rpartition("/")[2]


def _shared(components: dict[str, Any], status: str, response: Mapping[str, Any]) -> dict[str, str]:
    """Put an error response among the components and return the reference to it."""
    shared = components.setdefault("responses", {})
    name = f"Error{status}"
    if name not in shared:
        message = response["description"]
        for content in _contents(response):
            content["example"] = envelope(int(status), message)
        shared[name] = dict(response)
    return {"$ref": f"#/components/responses/{name}"}


class _Shapes:
    """Examples of the schemas of one document."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas

    def example(self, schema: Mapping[str, Any], name: str, shape: str = "", depth: int = 0) -> Any:
        """Return an example of a schema; ``name`` is the member of ``shape`` that has it."""
        for key in (f"{shape}.{name}", name):
            if key in VALUES and _fits(VALUES[key], schema):
                return VALUES[key]
        if "$ref" in schema:
            reference = schema["$ref"].rpartition("/")[2]
            return self.example(self._schemas[reference], name, reference, depth + 1)
        for combination in ("allOf", "oneOf", "anyOf"):
            if combination in schema:
                return self.example(schema[combination][0], name, shape, depth + 1)
        if "default" in schema:
            return schema["default"]
        if "enum" in schema:
            return schema["enum"][0]
        return self._of_type(schema, name, shape, depth)

    def _of_type(self, schema: Mapping[str, Any], name: str, shape: str, depth: int) -> Any:
        kind = _type(schema)
        if kind == "object":
            own = schema.get("properties", {})
            others = schema.get("additionalProperties")
            if not own and isinstance(others, dict) and others:
                key = _KEYS.get(_type(others), "name")
                return {key: self.example(others, key, shape, depth + 1)}
            return {
                member: self.example(inner, member, shape, depth + 1)
                for member, inner in own.items()
                if depth < _DEEPEST
            }
        if kind == "array":
            return [self.example(schema.get("items", {}), "", "", depth + 1)]
        if kind == "boolean":
            return True
        if kind in ("integer", "number"):
            return max(1, schema.get("minimum", 1))
        if kind == "string":
            return _TIME if schema.get("format") == "date-time" else name or "text"
        return {}


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "")
    return next(one for one in kind if one != "null") if isinstance(kind, list) else str(kind)


def _fits(value: object, schema: Mapping[str, Any]) -> bool:
    """Tell whether a value of the table is of the schema's type."""
    if "enum" in schema:
        return value in schema["enum"]
    if isinstance(value, list):
        return _type(schema) == "array" and _type(schema.get("items", {})) == "string"
    kinds = {"string": str, "integer": int, "boolean": bool}
    expected = kinds.get(_type(schema))
    return expected is not None and isinstance(value, expected)
