"""How robots are filtered and ordered, and whose robots a list shows."""

from typing import Any

from django.db.models import QuerySet

from core.api.errors import BadRequest
from core.api.listing import Column, ColumnKind, Listing
from core.api.query_language import Exact, Pattern, parse_query

LEVEL_SYSTEM, LEVEL_PROJECT = "system", "project"


def _already_applied(robots: "QuerySet[Any]", pattern: Pattern) -> "QuerySet[Any]":
    """Level and project choose the list itself, before any other filter."""
    return robots


ROBOT_LISTING = Listing(
    columns={
        "id": Column("id", ColumnKind.INTEGER),
        "name": Column("name"),
        "description": Column("description"),
        "disabled": Column("is_disabled", ColumnKind.BOOLEAN),
        "creation_time": Column("created_at", ColumnKind.TIME),
        "update_time": Column("updated_at", ColumnKind.TIME),
    },
    default_order=("name",),
    special={"level": _already_applied, "project_id": _already_applied},
)


def project_of_query(text: str) -> int | None:
    """Return the project whose robots ``q`` asks for, None for those of the system.

    ``Level=project`` needs ``ProjectID=n``. Raises ``BadRequest``.
    """
    level, project = "", ""
    for term in parse_query(text):
        if term.key in ("level", "projectid"):
            if not isinstance(term.pattern, Exact):
                raise BadRequest("q: Level and ProjectID take exact values.")
            if term.key == "level":
                level = term.pattern.value
            else:
                project = term.pattern.value
    if level not in ("", LEVEL_SYSTEM, LEVEL_PROJECT):
        raise BadRequest("q: Level is system or project.")
    if level != LEVEL_PROJECT:
        return None
    if not (project.isascii() and project.isdigit()) or len(project) > 18:
        raise BadRequest("q: Level=project needs ProjectID with the project's id.")
    return int(project)
