"""What can be configured about a bucket."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GCSOptions:
    """Where the bucket is and how to talk to it.

    Without ``credentials`` those of the machine, the workload or the environment are used, in
    the order of the SDK's default.
    """

    bucket: str
    prefix: str = ""
    """Put before every name; empty, or ends with a slash."""
    credentials: str | None = field(default=None, repr=False)
    """Key of a service account, as the JSON that the service gives."""
    endpoint_url: str | None = None
    """Address of the service; None: the public one."""
    retry_seconds: float = 60.0
    """How long a request that fails is sent again."""
    first_pause_seconds: float = 1.0
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 60.0
    """How long the service may stay silent."""

    def __post_init__(self) -> None:
        if self.prefix and not self.prefix.endswith("/"):
            raise ValueError("The prefix must end with a slash.")

    @property
    def address(self) -> str:
        """Address of the service."""
        return self.endpoint_url or "https://storage.googleapis.com"
