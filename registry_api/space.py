"""How much room is left for uploads; reading and deleting go on without any."""

from typing import Final

from django.conf import settings

from core.storage.selection import default_driver
from registry_api.errors import RegistryError

LOOK_AGAIN_BYTES: Final = 64 << 20
"""After how many bytes of one request the free space is looked at again."""


class NoSpace(RegistryError):
    """Too little space is left for more content."""

    def __init__(self) -> None:
        message = "The registry has no space left for uploads."
        super().__init__("UNAVAILABLE", message, status=507)


def ensure_space() -> None:
    """Refuse content while little space is left. Raises NoSpace."""
    free = default_driver().free_bytes()
    if free is not None and free < settings.ROADSTEAD.storage.minimum_free_bytes:
        raise NoSpace
