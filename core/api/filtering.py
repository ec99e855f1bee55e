"""Query parameters that filter a list beside ``q``, on django-filter."""

from collections.abc import Sequence
from typing import Any, ClassVar

import django_filters


class ParameterFilter(django_filters.FilterSet):
    """Base of a list's own query parameters. Subclasses declare one filter for each."""

    class Meta:
        """Only declared filters count, never the model's fields."""

        fields: ClassVar[Sequence[str]] = ()


def exact(field: str) -> Any:
    """Return a filter for rows whose field has exactly the given text."""
    return django_filters.CharFilter(field_name=field)


def containing(field: str) -> Any:
    """Return a filter for rows whose field contains the text, without regard to case."""
    return django_filters.CharFilter(field_name=field, lookup_expr="icontains")


def truth(field: str) -> Any:
    """Return a filter for rows whose flag is ``true`` or ``false``; other values are 422."""
    return django_filters.TypedChoiceFilter(
        field_name=field,
        choices=[(text, text) for text in ("true", "false", "1", "0")],
        coerce=lambda text: text in ("true", "1"),
    )
