"""How quotas are filtered and ordered."""

from typing import Any

import django_filters
from django.db.models import QuerySet

from core.api.errors import BadRequest
from core.api.filtering import ParameterFilter
from core.api.listing import Column, ColumnKind, Listing

REFERENCE = "project"
"""What a quota is of; there is no other kind."""

QUOTA_LISTING = Listing(
    columns={
        "id": Column("id", ColumnKind.INTEGER),
        "name": Column("project__name"),
        "hard.storage": Column("hard_bytes", ColumnKind.INTEGER),
        "used.storage": Column("usage", ColumnKind.INTEGER),
        "creation_time": Column("created_at", ColumnKind.TIME),
        "update_time": Column("updated_at", ColumnKind.TIME),
    },
    default_order=("-created_at",),
)


def _of_reference(quotas: "QuerySet[Any]", _name: str, value: str) -> "QuerySet[Any]":
    return quotas if value == REFERENCE else quotas.none()


def _of_project(quotas: "QuerySet[Any]", _name: str, value: str) -> "QuerySet[Any]":
    if not (value.isascii() and value.isdigit()) or len(value) > 18:
        raise BadRequest("reference_id must be the id of a project.")
    return quotas.filter(project_id=int(value))


class QuotaFilter(ParameterFilter):
    """Query parameters of the list beside ``q``."""

    reference = django_filters.CharFilter(method=_of_reference)
    reference_id = django_filters.CharFilter(method=_of_project)
