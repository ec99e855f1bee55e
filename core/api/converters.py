"""Path segments that need decoding.

Clients send repository names double-encoded (``a/b`` as ``a%252Fb``). The server decodes a
path once, apart from its slashes, so what arrives is ``a%2Fb`` whether they encode twice or once,
and ``a/b`` only from clients and proxies that do not encode at all. All mean the same
repository, and neither names nor tags contain a percent sign.
"""

import re
from typing import Final
from urllib.parse import unquote

from django.urls import register_converter

_ENCODED_SLASH: Final = re.compile("%2f", re.IGNORECASE)


def decoded_path(raw_path: bytes) -> str:
    """Decode a path once, apart from slashes: one that is encoded is part of a name.

    As a separator, it could make another object of a name: ``a%2Fartifacts%2Fv1`` is a
    repository, and no artifact of ``a``.
    """
    return unquote(_ENCODED_SLASH.sub("%252F", raw_path.decode("ascii")))


class RepositoryNameConverter:
    """A repository's path within its project, with single or double encoding.

    Its last slash is part of it only when it is encoded.
    """

    regex = ".*[^/]"

    def to_python(self, value: str) -> str:
        """Decode once more. Raises ``ValueError``, which means that there is no such route."""
        decoded = unquote(value)
        if "\x00" in decoded:
            raise ValueError("no name contains a NUL character")
        return decoded

    def to_url(self, value: str) -> str:
        """Encode once; the URL builder encodes the second time."""
        return value.replace("/", "%2F")


class ReferenceConverter(RepositoryNameConverter):
    """A tag or digest."""

    regex = "[^/]+"


class IdentifierConverter:
    """A row's id."""

    regex = "[0-9]{1,18}"

    def to_python(self, value: str) -> int:
        """Return the number."""
        return int(value)

    def to_url(self, value: int) -> str:
        """Return its digits."""
        return str(value)


def register() -> None:
    """Make the converters known to ``django.urls.path``."""
    register_converter(RepositoryNameConverter, "repository_name")
    register_converter(ReferenceConverter, "reference")
    register_converter(IdentifierConverter, "identifier")


register()
