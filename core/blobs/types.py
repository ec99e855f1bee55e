"""Plain values of uploads."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from core.oci.digest import Digest
from core.storage.types import UploadState


@dataclass(frozen=True, slots=True)
class UploadFacts:
    """What a client may know of its upload; ``size_bytes`` counts durable bytes.

    ``committed_digest`` is set once the upload has become a blob. ``owner`` is the subject
    key of whoever started it.
    """

    id: UUID
    repository_name: str
    project_id: int
    owner: str
    algorithm: str
    size_bytes: int
    committed_digest: Digest | None
    created_at: datetime
    expires_at: datetime


class Checkpoint(NamedTuple):
    """A durable position of an upload and all that is needed to go on from there.

    ``hash_state`` continues the running hash in any process; it is None where it could not
    be saved. ``digest_at_size`` is the hexadecimal value of that hash at ``size_bytes``, None
    when the running hash was lost. ``storage_state`` belongs to the storage driver.
    """

    size_bytes: int
    storage_state: UploadState
    hash_state: bytes | None
    digest_at_size: str | None


class UploadClaim(NamedTuple):
    """The right to write one upload, as taken from its row.

    ``epoch`` and ``token`` fence every later change: when another writer has taken over,
    they no longer match and the change is refused.
    """

    id: UUID
    project_id: int
    repository_name: str
    owner: str
    algorithm: str
    store: str
    storage_key: str
    epoch: int
    token: UUID
    checkpoint: Checkpoint
