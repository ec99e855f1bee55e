"""The answer of the referrers API (OCI distribution-spec, "Listing Referrers")."""

import json
from collections.abc import Iterable, Mapping
from typing import Final

from core.oci.descriptor import Descriptor
from core.oci.digest import Digest
from core.oci.media_types import OCI_IMAGE_INDEX

# The specification bounds the parts of a fallback tag, which cuts a SHA-512 hash in half.
_TAG_ALGORITHM_CHARACTERS: Final = 32
_TAG_HASH_CHARACTERS: Final = 64

# Clients keep signatures, attestations and SBOMs under a tag made of the digest they are about
# (cosign's SIGNATURE_SPEC). Those of a SHA-512 digest would be too long for a tag.
_COMPANION_SUFFIXES: Final = (".sig", ".att", ".sbom")
COMPANION_PREFIX: Final = "sha256-"
COMPANION_TAG: Final = r"^sha256-[0-9a-f]{64}\.(sig|att|sbom)$"
"""The form of tags whose manifests are about another one, without naming it as their subject."""


def referrer_artifact_type(artifact_type: str | None, config_media_type: str | None) -> str | None:
    """Return the type a referrer is listed and filtered under.

    That is its ``artifactType``, else the media type of its config; None for an index that
    has neither. Empty text counts as absent.
    """
    return artifact_type or config_media_type or None


def referrer_descriptor(
    *,
    media_type: str,
    digest: Digest,
    size: int,
    artifact_type: str | None,
    config_media_type: str | None,
    annotations: Mapping[str, str],
) -> Descriptor:
    """Return the descriptor that lists a referring manifest, from what is stored of it."""
    return Descriptor(
        media_type=media_type,
        digest=digest,
        size=size,
        artifact_type=referrer_artifact_type(artifact_type, config_media_type),
        annotations=annotations,
    )


def encode_descriptor(descriptor: Descriptor) -> bytes:
    """Return the compact JSON of one descriptor, so that pages can be cut by length."""
    return json.dumps(descriptor.to_json(), ensure_ascii=False, separators=(",", ":")).encode()


def referrers_index(descriptors: Iterable[Descriptor]) -> bytes:
    """Return an OCI image index of the descriptors, in the order given."""
    entries = b",".join(encode_descriptor(descriptor) for descriptor in descriptors)
    head = f'{{"schemaVersion":2,"mediaType":"{OCI_IMAGE_INDEX}","manifests":['
    return head.encode() + entries + b"]}"


def referrers_tag(subject: Digest) -> str:
    """Return the tag under which clients keep referrers where the API is missing.

    Algorithm and hash of every Digest consist of characters that tags allow.
    """
    algorithm = subject.algorithm[:_TAG_ALGORITHM_CHARACTERS]
    return f"{algorithm}-{subject.hex[:_TAG_HASH_CHARACTERS]}"


def companion_tags(subject: Digest) -> tuple[str, ...]:
    """Return the tags under which clients keep what is about a manifest."""
    if subject.algorithm != "sha256":
        return ()
    return tuple(f"{COMPANION_PREFIX}{subject.hex}{suffix}" for suffix in _COMPANION_SUFFIXES)


def is_signature_tag(tag: str) -> bool:
    """Tell whether it is the tag of a signature among those."""
    return tag.startswith(COMPANION_PREFIX) and tag.endswith(".sig")
