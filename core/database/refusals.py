"""What it means to a caller when a transaction breaks a constraint of a feature.

Some invariants are judged when a transaction commits, by the database alone. Its error names a
constraint; the setting ``CONSTRAINT_REFUSALS`` names the function that turns the error's detail
into the refusal that the caller gets.
"""

from typing import Any

from django.conf import settings
from django.db import IntegrityError
from django.utils.module_loading import import_string

from core.common.errors import DomainError


def refusal_of(error: IntegrityError) -> DomainError | None:
    """Return the refusal that a broken constraint means, None for a defect."""
    diagnostics: Any = getattr(error.__cause__, "diag", None)
    if diagnostics is None or diagnostics.constraint_name not in settings.CONSTRAINT_REFUSALS:
        return None
    path = settings.CONSTRAINT_REFUSALS[diagnostics.constraint_name]
    refusal: DomainError = import_string(path)(diagnostics.message_detail)
    return refusal
