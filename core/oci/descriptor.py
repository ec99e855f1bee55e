"""Content descriptors (OCI image-spec, descriptor): media type, digest and size of content."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from core.oci.digest import Digest
from core.oci.errors import DigestInvalid, ManifestInvalid, excerpt
from core.oci.strict_json import known_keys, refuse_case_variants

MAX_SIZE_BYTES: Final = 2**63 - 1
# RFC 6838, 4.2 allows 127 characters on either side of the slash.
MAX_MEDIA_TYPE_CHARACTERS: Final = 255

_PRINTABLE_ASCII: Final = re.compile(r"[\x20-\x7e]+")
_DESCRIPTOR_KEYS: Final = known_keys(
    "mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"
)
_PLATFORM_KEYS: Final = known_keys(
    "architecture", "os", "os.version", "os.features", "variant", "features"
)
_PLATFORM_LISTS: Final = ("os.features", "features")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of content it refers to; ``size`` is in bytes.

    ``has_data`` tells that the descriptor embeds the content itself (checked when parsed).
    """

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str | None = None
    platform: Mapping[str, object] | None = field(default=None, hash=False)
    urls: tuple[str, ...] = ()
    has_data: bool = False

    def to_json(self) -> dict[str, object]:
        """Return the JSON object of this descriptor, without empty members and ``data``."""
        members: dict[str, object] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.urls:
            members["urls"] = list(self.urls)
        if self.annotations:
            members["annotations"] = dict(self.annotations)
        if self.artifact_type:
            members["artifactType"] = self.artifact_type
        if self.platform is not None:
            members["platform"] = dict(self.platform)
        return members


def parse_descriptor(value: object, where: str) -> Descriptor:
    """Return the descriptor in a parsed JSON value; ``where`` names it in messages.

    Optional members that are null count as absent. Raises ManifestInvalid.
    """
    if not isinstance(value, dict):
        raise ManifestInvalid(f"{where} must be a descriptor object.")
    refuse_case_variants(value, _DESCRIPTOR_KEYS, where)
    media_type = parse_media_type(value.get("mediaType"), f"{where}.mediaType")
    if media_type is None:
        raise ManifestInvalid(f"{where}.mediaType is missing.")
    digest = _parse_digest(value.get("digest"), f"{where}.digest")
    size = _parse_size(value.get("size"), f"{where}.size")
    return Descriptor(
        media_type=media_type,
        digest=digest,
        size=size,
        annotations=parse_annotations(value.get("annotations"), f"{where}.annotations"),
        artifact_type=parse_media_type(value.get("artifactType"), f"{where}.artifactType"),
        platform=_parse_platform(value.get("platform"), f"{where}.platform"),
        urls=_parse_texts(value.get("urls"), f"{where}.urls"),
        has_data=_check_data(value.get("data"), digest, size, f"{where}.data"),
    )


def parse_media_type(value: object, where: str) -> str | None:
    """Return a media type; None when absent, null or empty. Raises ManifestInvalid.

    Only length and characters are checked: artifacts in use carry types without a slash.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _PRINTABLE_ASCII.fullmatch(value):
        raise ManifestInvalid(f"{where} must be a media type, not {excerpt(value)}.")
    if len(value) > MAX_MEDIA_TYPE_CHARACTERS:
        raise ManifestInvalid(f"{where} is longer than {MAX_MEDIA_TYPE_CHARACTERS} characters.")
    return value


def parse_annotations(value: object, where: str) -> dict[str, str]:
    """Return a map of text to text; empty when absent or null. Raises ManifestInvalid."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ManifestInvalid(f"{where} must be an object of strings.")
    for key, text in value.items():
        if not isinstance(text, str):
            raise ManifestInvalid(f"{where} must hold strings, but {excerpt(key)} does not.")
    return value


def _parse_digest(value: object, where: str) -> Digest:
    if not isinstance(value, str):
        raise ManifestInvalid(f"{where} must be a string.")
    try:
        return Digest.parse(value)
    except DigestInvalid as error:
        raise ManifestInvalid(f"{where} is not valid. {error.message}") from error


def _parse_size(value: object, where: str) -> int:
    # ``bool`` is a subclass of ``int``, so the exact type is asked for.
    if type(value) is not int or not 0 <= value <= MAX_SIZE_BYTES:
        raise ManifestInvalid(f"{where} must be an integer from 0 to {MAX_SIZE_BYTES}.")
    return value


def _parse_texts(value: object, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ManifestInvalid(f"{where} must be a list of strings.")
    return tuple(value)


def _parse_platform(value: object, where: str) -> dict[str, object] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ManifestInvalid(f"{where} must be an object.")
    refuse_case_variants(value, _PLATFORM_KEYS, where)
    for key in _PLATFORM_KEYS.values():
        if key in _PLATFORM_LISTS:
            _parse_texts(value.get(key), f"{where}.{key}")
        elif value.get(key) is not None and not isinstance(value[key], str):
            raise ManifestInvalid(f"{where}.{key} must be a string.")
    return value


def _check_data(value: object, digest: Digest, size: int, where: str) -> bool:
    """Tell whether content is embedded, having checked that it is what the descriptor says."""
    if value is None:
        return False
    if not isinstance(value, str):
        raise ManifestInvalid(f"{where} must be a base64 string.")
    try:
        content = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ManifestInvalid(f"{where} is not valid base64.") from error
    if len(content) != size:
        raise ManifestInvalid(f"{where} has {len(content)} bytes, but size says {size}.")
    if not digest.matches(content):
        raise ManifestInvalid(f"{where} does not have the digest {digest}.")
    return True
