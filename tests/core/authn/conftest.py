"""A signing key, empty memories, and audit records kept in a list instead of a thread."""

from collections.abc import Iterator

import pytest

from core.audit.types import AuditRecord
from core.authn import login_records, registry_tokens, services
from core.authn.password_memory import MEMORY
from core.authn.unstored_failures import UNSTORED
from core.common.clock import now
from core.rbac.types import Actor

AUTHENTICATORS = ("core.authn.token_authenticator", "core.authn.password_authenticator")


@pytest.fixture(autouse=True)
def _a_fresh_process(settings: object) -> Iterator[None]:
    """Nothing that the process remembers crosses from one test to the next."""
    settings.AUTHENTICATORS = AUTHENTICATORS  # type: ignore[attr-defined]
    _forget()
    yield
    _forget()


def _forget() -> None:
    registry_tokens.forget_verified()
    MEMORY.clear()
    UNSTORED.forget()
    services.forget_recorded_logins()


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[AuditRecord]:
    """Collect buffered audit records, which a thread would write into another transaction."""
    records: list[AuditRecord] = []
    monkeypatch.setattr(services, "record_buffered", records.append)

    def record_login(actor: Actor) -> None:
        records.append(login_records._record(login_records.Login(actor, now())))

    monkeypatch.setattr(services, "record_login", record_login)
    return records


@pytest.fixture
def signing_key(db: None) -> None:
    """Make the first signing key."""
    services.ensure_signing_key()
