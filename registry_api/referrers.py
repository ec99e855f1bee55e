"""GET /v2/<name>/referrers/<digest>: manifests whose subject that digest is (end-12)."""

from typing import Final

from starlette.responses import Response

from core.artifacts import queries
from core.artifacts.types import Referrer
from core.oci.descriptor import Descriptor
from core.oci.digest import Digest
from core.oci.media_types import OCI_IMAGE_INDEX
from core.oci.referrers import encode_descriptor, referrers_index
from registry_api import auth
from registry_api.calls import Call
from registry_api.challenges import PULL
from registry_api.errors import RegistryError
from registry_api.paging import link_to_next

MAX_DESCRIPTORS: Final = 1_000
MAX_BYTES: Final = 3_500_000


def list_referrers(call: Call) -> Response:
    """Answer one page of referrers as an image index, empty where nothing is known."""
    repository_id = _repository_id(call)
    subject = Digest.parse(call.location.item)
    # An empty filter asks for nothing in particular. No media type has a space, so that one was
    # sent as a bare plus sign.
    artifact_type = (call.parameter("artifactType") or "").replace(" ", "+") or None
    after = _position(call.parameter("last"))
    page, has_more = _page(repository_id, subject, artifact_type, after)
    headers = {"Cache-Control": "no-cache"}
    if artifact_type is not None:
        headers["OCI-Filters-Applied"] = "artifactType"
    if has_more:
        fields: dict[str, str | int] = {"last": page[-1].id}
        if artifact_type is not None:
            fields["artifactType"] = artifact_type
        headers |= link_to_next(f"/v2/{call.location.name}/referrers/{subject}", fields)
    body = referrers_index(_descriptor(referrer) for referrer in page)
    return Response(body, headers=headers, media_type=OCI_IMAGE_INDEX)


def _repository_id(call: Call) -> int | None:
    """Return the repository, None where there is none yet that the caller may pull from.

    Clients take 404 for a registry without this endpoint, and keep lists of their own then.
    """
    try:
        return auth.admit(call, PULL).repository_id
    except RegistryError as error:
        if error.code != "NAME_UNKNOWN":
            raise
        return None


def _page(
    repository_id: int | None, subject: Digest, artifact_type: str | None, after: int
) -> tuple[list[Referrer], bool]:
    """Return the referrers of one page and whether more follow.

    Reads no more than may fit, and one manifest, at once: annotations may make each referrer as
    long as a manifest.
    """
    page: list[Referrer] = []
    length = 0
    may_follow = repository_id is not None
    while may_follow and repository_id is not None:
        batch, may_follow = queries.list_referrers(
            repository_id,
            subject,
            artifact_type,
            after,
            limit=MAX_DESCRIPTORS + 1 - len(page),
            max_bytes=max(1, MAX_BYTES - length),
        )
        for referrer in batch:
            length += len(encode_descriptor(_descriptor(referrer))) + 1
            if page and (length > MAX_BYTES or len(page) >= MAX_DESCRIPTORS):
                return page, True
            page.append(referrer)
            after = referrer.id
    return page, False


def _descriptor(referrer: Referrer) -> Descriptor:
    return Descriptor(
        media_type=referrer.media_type,
        digest=referrer.digest,
        size=referrer.size_bytes,
        artifact_type=referrer.artifact_type,
        annotations=referrer.annotations,
    )


def _position(text: str | None) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise RegistryError("PAGINATION_NUMBER_INVALID", "The parameter last is not one of ours.")
    return int(text)
