"""Query parameters that filter a list beside ``q``, on django-filter."""

from collections.abc import Sequence
from typing import Any, ClassVar

import django_filters
from django import forms

from core.api.flags import truth_of


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
    """Return a filter for rows whose flag is true or false; other values are 422."""
    return _TruthFilter(field_name=field)


class _TruthField(forms.Field):
    """Understands the words of ``core.api.flags``; None for no word."""

    def to_python(self, value: Any) -> bool | None:
        """Return the truth value. Raises ``ValidationError``."""
        truth = truth_of(value or "")
        if value and truth is None:
            raise forms.ValidationError("must be true or false.")
        return truth


class _TruthFilter(django_filters.Filter):
    """Leaves rows alone without a value."""

    field_class = _TruthField
