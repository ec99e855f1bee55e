"""What the configurations of artifacts say, read once and kept with their manifests.

A list of a hundred artifacts must not read a hundred blobs, from a bucket least of all; and a
push must not wait for a blob to be read. So a periodic run reads the configurations of new
manifests. Whoever looks at an artifact before that reads it right away and keeps what it
found, a few at a time where the storage is a bucket.
"""

import json
from collections.abc import Sequence
from typing import Final

import structlog

from core.artifacts.contents import read_blob
from core.artifacts.errors import BlobUnknown, ContentNotShown
from core.artifacts.models import Manifest, ManifestReference
from core.common.errors import DomainError
from core.database import raw
from core.oci.configs import MAXIMUM_CONFIG_BYTES, extra_attributes, says_nothing
from core.oci.manifest import ReferenceRole
from core.oci.media_types import artifact_kind
from core.storage.selection import driver_of

log = structlog.get_logger(__name__)

READS_FROM_BUCKET: Final = 10
"""How many configurations one request reads where each read is a request to a bucket."""

# Rows that somebody else writes at the moment will be read the next time.
_KEEP = """
UPDATE artifacts_manifest AS manifest
   SET extra_attrs = found.attributes::jsonb
  FROM unnest(%s::bigint[], %s::text[]) AS found(id, attributes),
       (SELECT id FROM artifacts_manifest
         WHERE id = ANY(%s::bigint[]) AND extra_attrs IS NULL
         ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) AS locked
 WHERE manifest.id = locked.id AND found.id = locked.id
"""


def read_attributes(manifests: Sequence[Manifest]) -> None:
    """Let each of the manifests have its ``extra_attrs``, and keep those that were read now.

    They stay None where the configuration is missing, damaged, or one of too many to be read at
    once.
    """
    found: dict[int, dict[str, object]] = {}
    configs = _configs_of([row for row in manifests if row.extra_attrs is None])
    reads = 0
    for manifest in manifests:
        config = configs.get(manifest.pk)
        if config is None or config.blob is None:
            continue
        reads += not driver_of(config.blob.store).reads_are_quick
        if reads > READS_FROM_BUCKET:
            break
        attributes = _read(manifest, config)
        if attributes is not None:
            manifest.extra_attrs = found[manifest.pk] = attributes
    _keep(found)


def keep_unread_attributes(after_id: int, limit: int) -> tuple[int, int | None]:
    """Read the configurations of up to ``limit`` manifests behind ``after_id`` and keep them.

    Returns how many were kept, and the last id looked at, None when there are no more. Raises
    ``StorageFailed``.
    """
    unread = Manifest.objects.filter(
        extra_attrs__isnull=True, config_media_type__isnull=False, pk__gt=after_id
    )
    manifests = list(
        unread.only("id", "artifact_type", "config_media_type", "extra_attrs").order_by("id")[
            :limit
        ]
    )
    if not manifests:
        return 0, None
    configs = _configs_of(manifests)
    found = {
        manifest.pk: attributes
        for manifest in manifests
        if (config := configs.get(manifest.pk)) is not None
        and (attributes := _read(manifest, config)) is not None
    }
    _keep(found)
    return len(found), manifests[-1].pk


def _configs_of(manifests: Sequence[Manifest]) -> dict[int, ManifestReference]:
    ids = [manifest.pk for manifest in manifests if manifest.config_media_type is not None]
    if not ids:
        return {}
    rows = ManifestReference.objects.filter(
        parent__in=ids, role=ReferenceRole.CONFIG, blob__isnull=False
    )
    return {row.parent_id: row for row in rows.select_related("blob")}


def _read(manifest: Manifest, config: ManifestReference) -> dict[str, object] | None:
    """Return what the configuration says; None when that cannot be known at the moment."""
    if config.blob is None or manifest.config_media_type is None:
        return None
    if says_nothing(manifest.config_media_type):
        return {}
    try:
        payload = read_blob(config.blob, maximum_bytes=MAXIMUM_CONFIG_BYTES)
    except ContentNotShown:
        return {}
    except BlobUnknown:
        return None
    except DomainError as error:
        log.warning("configuration_not_read", manifest_id=manifest.pk, reason=error.message)
        return None
    kind = artifact_kind(manifest.config_media_type, manifest.artifact_type)
    return extra_attributes(kind, manifest.config_media_type, payload)


def _keep(found: dict[int, dict[str, object]]) -> None:
    if found:
        texts = [json.dumps(attributes) for attributes in found.values()]
        raw.execute(_KEEP, (list(found), texts, list(found)))
