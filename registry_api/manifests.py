"""/v2/<name>/manifests/<tag-or-digest>: reading, pushing, deleting (end-3, end-7, end-9).

The stored type is answered whatever Accept says: a client that cannot use it says so better
than a registry that pretends there is nothing.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from core.artifacts import pulls
from core.artifacts.rules import needs_touch
from core.artifacts.services import manifests as manifest_services
from core.artifacts.services import tags as tag_services
from core.artifacts.types import StoredManifest, TargetLookup
from core.audit.buffer import BUFFER
from core.common.clock import now
from core.database.read_only import unless_read_only
from core.oci.digest import Digest
from core.oci.entity_tags import entity_tag
from core.oci.errors import ManifestTooLarge
from core.oci.manifest import MAX_MANIFEST_BYTES
from core.oci.reference import RepositoryName, parse_reference, parse_tag
from registry_api import auth
from registry_api.answers import Answer
from registry_api.auth import Admission, Caller
from registry_api.calls import Call
from registry_api.challenges import DELETE, PULL, PUSH
from registry_api.conditions import is_not_modified
from registry_api.errors import RegistryError
from registry_api.lookups import find_manifest
from registry_api.threads import Work, in_thread

_MAX_TAGS: Final = 64


async def get_manifest(call: Call) -> Response:
    """Answer a manifest byte for byte as it was pushed; only its headers to HEAD."""
    caller = await auth.identified(call)
    name = call.repository_name()
    reference = parse_reference(call.location.item)
    auth.require_scope(call, caller, name, PULL)
    is_head = call.method == "HEAD"
    find = partial(find_manifest, str(name), reference, caller.subject, with_payload=not is_head)
    lookup = await auth.followed(caller, name, find)
    await auth.required_current(call, caller, name, PULL, lookup)
    if lookup.repository_id is None or lookup.project is None:
        raise RegistryError("NAME_UNKNOWN")
    manifest = lookup.manifest
    if manifest is None:
        raise RegistryError("MANIFEST_UNKNOWN", detail={"reference": str(reference)})
    if is_head and isinstance(reference, Digest) and needs_touch(manifest.touched_at, now()):
        await _touch(call, caller, name, lookup, manifest)
    if is_not_modified(call.headers, manifest.digest):
        return Answer(b"", 304, _headers(manifest.digest, manifest.media_type, None))
    headers = _headers(manifest.digest, manifest.media_type, manifest.size_bytes)
    if is_head:
        return Answer(b"", 200, headers)
    if BUFFER.is_full:
        # Rather no answer than a pull that nobody will know of.
        await in_thread(Work.COMMIT, BUFFER.flush)
    pulls.record_pull(
        repository_id=lookup.repository_id,
        repository_name=lookup.redirected_to or str(name),
        project_id=lookup.project.id,
        manifest=manifest,
        tag_name="" if isinstance(reference, Digest) else reference,
        actor=caller.actor,
    )
    return Answer(manifest.payload or b"", 200, headers)


async def _touch(
    call: Call,
    caller: Caller,
    name: RepositoryName,
    lookup: TargetLookup,
    manifest: StoredManifest,
) -> None:
    """Let a pusher who is told that the manifest is there rely on it staying.

    While the database is read-only that cannot be noted, but nothing is removed either, and who
    only pulls has the same rights. A push has to wait for the end of that time anyway (ADR 0022).
    """
    if not await in_thread(Work.LOOKUP, auth.is_pusher, caller, name, lookup):
        return
    touch = partial(manifest_services.touch_manifest, manifest.id)
    if await in_thread(Work.COMMIT, unless_read_only, touch) is False:
        raise RegistryError("MANIFEST_UNKNOWN", detail={"reference": call.location.item})


async def put_manifest(call: Call) -> Response:
    """Store a manifest under a digest, a tag, or a digest with the tags of ``?tag=``."""
    admission = await auth.admitted(call, PUSH)
    reference = parse_reference(call.location.item)
    tags = _extra_tags(call) if isinstance(reference, Digest) else ()
    payload = await _receive_payload(call)
    return await in_thread(Work.COMMIT, _push, call, admission, reference, tags, payload)


async def delete_manifest(call: Call) -> Response:
    """Delete a tag, or a manifest with every tag that points at it, if If-Match names it."""
    admission = await auth.admitted(call, DELETE)
    reference = parse_reference(call.location.item)
    name, actor = str(admission.name), admission.actor
    wanted = call.headers.list("if-match")
    delete: Callable[[], object]
    if isinstance(reference, Digest):
        delete = partial(
            manifest_services.delete_manifest, name, reference, if_match=wanted, actor=actor
        )
    else:
        delete = partial(tag_services.delete_tag, name, reference, if_match=wanted, actor=actor)
    await in_thread(Work.COMMIT, delete)
    return Response(None, 202, {"Content-Length": "0"})


@lru_cache(maxsize=1_024)
def _headers(
    digest: Digest, media_type: str, size_bytes: int | None
) -> tuple[tuple[bytes, bytes], ...]:
    headers = {
        "content-type": media_type,
        "docker-content-digest": str(digest),
        "etag": entity_tag(digest),
    }
    if size_bytes is not None:
        headers["content-length"] = str(size_bytes)
    return tuple((name.encode(), value.encode("latin-1")) for name, value in headers.items())


def _push(
    call: Call,
    admission: Admission,
    reference: Digest | str,
    tags: tuple[str, ...],
    payload: bytes,
) -> Response:
    pushed = manifest_services.push_manifest(
        str(admission.name),
        project_id=admission.project_id,
        payload=payload,
        content_type=call.headers.get("content-type"),
        reference=reference,
        extra_tags=tags,
        if_match=call.headers.list("if-match"),
        if_none_match=call.headers.list("if-none-match"),
        actor=admission.actor,
    )
    headers = {
        "Content-Length": "0",
        "Docker-Content-Digest": str(pushed.digest),
        "ETag": entity_tag(pushed.digest),
        "Location": f"/v2/{admission.name}/manifests/{quote(str(pushed.digest), safe=':')}",
    }
    if pushed.subject is not None:
        headers["OCI-Subject"] = str(pushed.subject)
    if tags:
        headers["OCI-Tag"] = ", ".join(pushed.tags)
    return Response(None, 201, headers)


def _extra_tags(call: Call) -> tuple[str, ...]:
    """Return the tags of the query, each once. Raises TagInvalid, RegistryError 414."""
    tags = tuple(dict.fromkeys(call.query.get("tag", ())))
    if len(tags) > _MAX_TAGS:
        message = f"A push sets at most {_MAX_TAGS} tags."
        raise RegistryError("TAG_INVALID", message, status=414)
    return tuple(parse_tag(tag) for tag in tags)


async def _receive_payload(call: Call) -> bytes:
    """Return the body. Raises ManifestTooLarge before more than the limit is held."""
    announced = call.content_length
    if announced is not None and announced > MAX_MANIFEST_BYTES:
        raise ManifestTooLarge
    pieces: list[bytes] = []
    received = 0
    while not call.body_has_ended():
        piece = await call.receive()
        received += len(piece)
        if received > MAX_MANIFEST_BYTES:
            raise ManifestTooLarge
        pieces.append(piece)
    return b"".join(pieces)
