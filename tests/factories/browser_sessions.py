"""Sessions in browsers, with explicit values."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from core.authn.models import BrowserSession
from core.common.clock import now
from core.common.secrets_format import secret_hash
from core.users.models import User
from core.users.revocations import find_generations
from core.users.types import subject_of


@dataclass(frozen=True)
class StoredBrowserSession:
    """A session and the secret of its cookie."""

    session: BrowserSession
    secret: str


def make_browser_session(
    user: User, *, unused_for: timedelta = timedelta(0)
) -> StoredBrowserSession:
    """Store a session that was used last that long ago."""
    secret, at = secrets.token_urlsafe(32), now() - unused_for
    session = BrowserSession.objects.create(
        user=user,
        secret_hash=secret_hash(secret),
        generation=find_generations(subject_of(user.pk)).present,
        address="192.0.2.7",
        user_agent="tests/1",
        created_at=at,
        last_seen_at=at,
    )
    return StoredBrowserSession(session, secret)
