"""Where a request came from, carried by its actor into audit records."""

from dataclasses import dataclass
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Origin:
    """Address, user agent and request id of the caller.

    ``address`` is the client's IP address as text, or None when the caller is not a network
    client. ``user_agent`` is empty when the client sent none.
    """

    address: str | None
    user_agent: str
    request_id: str

    @classmethod
    def internal(cls) -> "Origin":
        """Origin of commands and jobs, which no network client asked for."""
        return cls(address=None, user_agent="roadstead", request_id=uuid4().hex)
