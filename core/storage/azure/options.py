"""What can be configured about a container."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AzureOptions:
    """Where the container is and how to talk to it.

    Without ``account_key`` the identity of the machine, the workload or the environment is
    used, in the order of the SDK's default.
    """

    container: str
    account: str
    prefix: str = ""
    """Put before every name; empty, or ends with a slash."""
    account_key: str | None = field(default=None, repr=False)
    endpoint_url: str | None = None
    """Address of the account's blob service; None: the one of the public cloud."""
    retries: int = 3
    """How often a request is sent again at most."""
    first_pause_seconds: int = 1
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 60.0
    """How long the service may stay silent."""

    def __post_init__(self) -> None:
        if self.prefix and not self.prefix.endswith("/"):
            raise ValueError("The prefix must end with a slash.")

    @property
    def account_url(self) -> str:
        """Address of the account's blob service."""
        return self.endpoint_url or f"https://{self.account}.blob.core.windows.net"
