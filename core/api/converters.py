"""Path segments that need decoding.

Clients send repository names double-encoded (``a/b`` as ``a%252Fb``). The server decodes a
path once, so what arrives is ``a%2Fb``, or ``a/b`` from clients and proxies that encode once;
both mean the same repository, and neither names nor tags contain a percent sign.
"""

from urllib.parse import unquote

from django.urls import register_converter


class RepositoryNameConverter:
    """A repository's path within its project, with single or double encoding."""

    regex = ".+"

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
