"""What the configurations of artifacts say, read once and kept with their manifests.

A list of a hundred artifacts must not read a hundred blobs, from a bucket least of all; and a
push must not wait for a blob to be read. So a periodic run reads the configurations of new
manifests. Whoever looks at an artifact before that reads it right away and keeps what it
found, a few at a time where the storage is a bucket.

In read-only mode, and while the database can only be read, nothing is kept: whoever looks reads
the configuration itself, and what it says of tags counts afterwards.

Labels of an image may say how long the tags live that a push lets point at it. Tags that were
pushed before the configuration was read await it; the transaction that keeps what it says sets
their ends. So nothing gets lost when a process dies, and the next run goes on.
"""

import json
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

import structlog
from django.db import transaction

from core.artifacts.contents import read_blob
from core.artifacts.errors import BlobUnknown, ContentNotShown
from core.artifacts.models import Manifest, ManifestReference
from core.artifacts.rules import StatedLife, stated_life
from core.artifacts.services.expiry import set_lives_locked
from core.common.errors import DomainError
from core.database import raw
from core.database.read_only import unless_read_only
from core.oci.configs import (
    MAXIMUM_CONFIG_BYTES,
    extra_attributes,
    image_labels,
    says_nothing,
)
from core.oci.manifest import ReferenceRole
from core.oci.media_types import artifact_kind
from core.rbac.types import Actor
from core.storage.selection import driver_of
from core.system_settings.queries import current, share_locked

log = structlog.get_logger(__name__)

READS_FROM_BUCKET: Final = 10
"""How many configurations one request reads where each read is a request to a bucket."""

# Rows that somebody else writes at the moment will be read the next time, and so will those in
# repositories that are reserved. A push of the same manifest waits for the commit, and sees then
# what was read; one before it has left its tags here.
_LOCK = """
SELECT m.id FROM artifacts_manifest m JOIN artifacts_repository r ON r.id = m.repository_id
 WHERE m.id = ANY(%s::bigint[]) AND m.extra_attrs IS NULL
 ORDER BY m.id FOR NO KEY UPDATE OF m SKIP LOCKED FOR KEY SHARE OF r SKIP LOCKED
"""

# With members and numbers as the database has them: what is shown first is what is shown later.
_AS_KEPT = """
SELECT found.attributes::jsonb::text
  FROM unnest(%s::text[]) WITH ORDINALITY AS found(attributes, place) ORDER BY place
"""

_KEEP = """
UPDATE artifacts_manifest AS manifest
   SET extra_attrs = found.attributes::jsonb, tag_life = found.life
  FROM unnest(%s::bigint[], %s::text[], %s::interval[]) AS found(id, attributes, life)
 WHERE manifest.id = found.id
"""


class _Said(NamedTuple):
    """What a configuration says: what lists show of it, and how long tags live."""

    attributes: dict[str, object]
    life: StatedLife = StatedLife()


def read_attributes(manifests: Sequence[Manifest]) -> None:
    """Let each of the manifests have its ``extra_attrs``, and keep those that were read now.

    They stay None where the configuration is missing, damaged, or one of too many to be read at
    once. What was read now looks as it will when it is read from the database, whether it could be
    kept or not; with it comes ``tag_life``.
    """
    found: dict[int, _Said] = {}
    configs = _configs_of([row for row in manifests if row.extra_attrs is None])
    reads = 0
    for manifest in manifests:
        config = configs.get(manifest.pk)
        if config is None or config.blob is None:
            continue
        reads += not driver_of(config.blob.store).reads_are_quick
        if reads > READS_FROM_BUCKET:
            break
        said = _read(manifest, config)
        if said is not None:
            found[manifest.pk] = said
    unless_read_only(partial(_keep, found))
    kept = dict(zip(found, _as_kept([each.attributes for each in found.values()]), strict=True))
    for manifest in manifests:
        if manifest.pk in found:
            manifest.extra_attrs = kept[manifest.pk]
            manifest.tag_life = found[manifest.pk].life.life


def keep_unread_attributes(after_id: int, limit: int) -> tuple[int, int | None]:
    """Read the configurations of up to ``limit`` manifests behind ``after_id`` and keep them.

    Returns how many were kept, and the last id looked at, None when there are no more or content
    can only be read. Raises ``StorageFailed``.
    """
    if current().read_only:
        return 0, None
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
        manifest.pk: said
        for manifest in manifests
        if (config := configs.get(manifest.pk)) is not None
        and (said := _read(manifest, config)) is not None
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


def _read(manifest: Manifest, config: ManifestReference) -> _Said | None:
    """Return what the configuration says; None when that cannot be known at the moment.

    One that cannot be understood for a reason nobody anticipated says nothing: the others of
    the list or of the run are read all the same.
    """
    if config.blob is None or manifest.config_media_type is None:
        return None
    if says_nothing(manifest.config_media_type):
        return _Said({})
    try:
        payload = read_blob(config.blob, maximum_bytes=MAXIMUM_CONFIG_BYTES)
    except ContentNotShown:
        return _Said({})
    except BlobUnknown:
        return None
    except DomainError as error:
        log.warning("configuration_not_read", manifest_id=manifest.pk, reason=error.message)
        return None
    try:
        return _understood(manifest.config_media_type, manifest.artifact_type, payload)
    except Exception:
        log.exception("configuration_not_understood", manifest_id=manifest.pk)
        return _Said({})


def _understood(config_media_type: str, artifact_type: str | None, payload: bytes) -> _Said:
    kind = artifact_kind(config_media_type, artifact_type)
    return _Said(
        extra_attributes(kind, config_media_type, payload),
        stated_life(image_labels(config_media_type, payload)),
    )


def _as_kept(attributes: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """Return them as they are read from the database, in their order."""
    if not attributes:
        return []
    rows = raw.fetch_all(_AS_KEPT, ([json.dumps(each) for each in attributes],))
    return [json.loads(row[0]) for row in rows]


def _keep(found: dict[int, _Said]) -> None:
    if not found:
        return
    with transaction.atomic():
        if share_locked().read_only:
            return
        ids = [row[0] for row in raw.fetch_all(_LOCK, (list(found),))]
        texts = [json.dumps(found[each].attributes) for each in ids]
        raw.execute(_KEEP, (ids, texts, [found[each].life.life for each in ids]))
        set_lives_locked({each: found[each].life.ignored for each in ids}, actor=Actor.system())
