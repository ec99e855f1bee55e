"""Domain errors carry a stable code, a kind and what helps the caller."""

from typing import ClassVar

import pytest

from core.common.errors import DomainError, ErrorKind

pytestmark = pytest.mark.pure


class KettleBusy(DomainError):
    """An error as features define them."""

    code: ClassVar[str] = "KETTLE_BUSY"
    kind: ClassVar[ErrorKind] = ErrorKind.BUSY
    default_message: ClassVar[str] = "The kettle is in use."


def test_error_without_arguments_uses_the_message_of_its_class() -> None:
    error = KettleBusy()

    assert (error.code, error.kind) == ("KETTLE_BUSY", ErrorKind.BUSY)
    assert error.message == str(error) == "The kettle is in use."
    assert error.detail is None
    assert error.retry_after_seconds is None


def test_error_keeps_what_it_is_given() -> None:
    error = KettleBusy("Tea is being made.", detail={"cups": 2}, retry_after_seconds=30)

    assert error.message == str(error) == "Tea is being made."
    assert error.detail == {"cups": 2}
    assert error.retry_after_seconds == 30


def test_falsy_detail_and_delay_are_kept() -> None:
    error = KettleBusy(detail=[], retry_after_seconds=0)

    assert error.detail == []
    assert error.retry_after_seconds == 0


def test_detail_is_named_never_positional() -> None:
    with pytest.raises(TypeError):
        KettleBusy("Tea is being made.", {"cups": 2})  # type: ignore[call-arg]


def test_plain_domain_error_has_defaults_a_renderer_can_use() -> None:
    error = DomainError()

    assert error.code == "UNKNOWN"
    assert error.kind is ErrorKind.INVALID
    assert error.message


def test_kinds_are_lowercase_text() -> None:
    assert all(kind.value == kind.name.lower() for kind in ErrorKind)
