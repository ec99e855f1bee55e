"""The seam: modules named in ``AUTHENTICATORS``, asked in order.

Each provides the two functions of ``core.authn.types.Authenticator``.
"""

from functools import lru_cache
from importlib import import_module
from typing import cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from core.authn import rules
from core.authn.errors import InvalidCredentials
from core.authn.types import Authenticator, Credentials
from core.common.origin import Origin
from core.rbac.types import Actor


def ask_authenticators(credentials: Credentials, origin: Origin) -> Actor:
    """Return the actor of the first authenticator that knows the credentials.

    Raises ``InvalidCredentials`` when that one refuses them or nobody knows them.
    """
    if rules.is_presentable(credentials.username, credentials.secret):
        for authenticator in _authenticators(tuple(settings.AUTHENTICATORS)):
            actor = authenticator.authenticate(credentials, origin)
            if actor is not None:
                return actor
    raise InvalidCredentials


def load_subject(subject: str, origin: Origin) -> Actor:
    """Return the actor with that subject key. Raises ``InvalidCredentials``."""
    for authenticator in _authenticators(tuple(settings.AUTHENTICATORS)):
        actor = authenticator.load(subject, origin)
        if actor is not None:
            return actor
    raise InvalidCredentials


@lru_cache(maxsize=4)
def _authenticators(paths: tuple[str, ...]) -> tuple[Authenticator, ...]:
    return tuple(_import(path) for path in paths)


def _import(path: str) -> Authenticator:
    module = import_module(path)
    for name in ("authenticate", "load"):
        if not callable(getattr(module, name, None)):
            raise ImproperlyConfigured(f"AUTHENTICATORS: {path} has no function {name}.")
    return cast(Authenticator, module)
