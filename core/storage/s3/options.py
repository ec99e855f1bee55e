"""What can be configured about a bucket."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from core.storage.part_schedule import PartSchedule


@dataclass(frozen=True, slots=True)
class S3Options:
    """Where the bucket is and how to talk to it. ``None`` leaves a thing to the SDK.

    Without ``access_key_id`` credentials come from the usual chain of the SDK: environment,
    shared files, container and instance roles.
    """

    bucket: str
    prefix: str = ""
    """Put before every key; empty, or ends with a slash."""
    endpoint_url: str | None = None
    public_endpoint_url: str | None = None
    """Address of the service in links for clients; None: ``endpoint_url``."""
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    addressing: Literal["auto", "path", "virtual"] = "auto"
    """``path``: the bucket stands in the path of addresses; ``virtual``: in the host name;
    ``auto``: in the host name at AWS, in the path elsewhere."""
    ca_bundle: Path | None = None
    """Certificates that the service's own is checked against; None: those of the system."""
    encryption: str | None = None
    """Server-side encryption: ``AES256`` or ``aws:kms``; None: what the bucket says."""
    kms_key_id: str | None = None
    storage_class: str | None = None
    has_conditional_writes: bool = True
    """The service honours ``If-None-Match: *`` on PutObject, so that small blobs take one
    request. Otherwise they take a multipart upload, which cannot replace a blob either."""
    schedule: PartSchedule = field(default_factory=PartSchedule)
    attempts: int = 4
    """How often a request is sent at most."""
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 60.0
    """How long the service may stay silent."""
    buffer_memory_bytes: int = 128 << 20
    """What all unfinished parts of a process may take in memory; more goes to files."""

    def __post_init__(self) -> None:
        if self.prefix and not self.prefix.endswith("/"):
            raise ValueError("The prefix must end with a slash.")
