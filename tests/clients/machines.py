"""What the tests ask of every client, whichever program it is."""

from typing import Protocol

from tests.clients.images import Image
from tests.clients.programs import Outcome
from tests.clients.protocol import Account

NAMES = ("skopeo", "podman", "buildah", "docker")


class ClientUnusable(Exception):
    """The client is installed but cannot work on this machine; the message says why."""


class Client(Protocol):
    """One client program with its own stores and credentials.

    A *reference* is host:port/repository:tag. What can be refused returns an Outcome when it
    is called with ``check=False``.
    """

    name: str

    def log_in(self, registry: str, account: Account, *, check: bool = True) -> Outcome:
        """Log in with the password on standard input, and keep the credentials."""
        ...

    def log_out(self) -> None:
        """Forget all credentials."""
        ...

    def clear(self) -> None:
        """Remove every image; AssertionError if any is left."""
        ...

    def take(self, image: Image) -> str:
        """Bring an image into the local store and return how `push` finds it."""
        ...

    def push(self, local: str, reference: str, *, check: bool = True) -> Outcome:
        """Push a local image under a reference."""
        ...

    def pushed_digest(self) -> str:
        """Return the digest that the client told for its last push."""
        ...

    def pull(self, reference: str, *, check: bool = True) -> Outcome:
        """Pull a reference into the local store."""
        ...

    def pulled_digest(self, reference: str) -> str:
        """Return the digest of the manifest under which a pulled image is known locally."""
        ...
