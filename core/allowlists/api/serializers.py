"""Shapes of allowlists on the wire."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from core.allowlists.models import CVEAllowlist
from core.allowlists.queries import effective_allowlists, reuses_system_allowlist
from core.allowlists.rules import MAXIMUM_ID_LENGTH
from core.allowlists.types import WantedAllowlist
from core.api.fields import RequestSerializer, ResponseSerializer, TextField, TimestampField
from core.projects.api.serializers import ProjectRequestSerializer
from core.projects.models import Project
from core.rbac.types import Actor

_LATEST = 253_402_300_799
"""The last second of the year 9999."""

LISTED_ITEMS = 100
"""How many items of its allowlist a project shows among others."""


class AllowlistItemRequestSerializer(RequestSerializer):
    """One vulnerability."""

    cve_id = TextField(max_length=MAXIMUM_ID_LENGTH)


class AllowlistRequestSerializer(RequestSerializer):
    """Harbor's ``CVEAllowlist`` as it is sent; ``expires_at`` is in seconds since 1970.

    Without ``expires_at`` the list counts for ever, and without ``items`` it is empty.
    """

    expires_at = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=_LATEST
    )
    items = AllowlistItemRequestSerializer(many=True, required=False, allow_null=True)


class ProjectWithAllowlistRequestSerializer(ProjectRequestSerializer):
    """Harbor's ``ProjectReq``."""

    cve_allowlist = AllowlistRequestSerializer(required=False, allow_null=True)


class AllowlistItemSerializer(ResponseSerializer):
    """One vulnerability."""

    always = frozenset({"cve_id"})

    cve_id = serializers.CharField()


class AllowlistSerializer(ResponseSerializer):
    """Harbor's ``CVEAllowlist``; lists of projects show its first items only."""

    always = frozenset({"items"})

    id = serializers.IntegerField()
    project_id = serializers.IntegerField()
    expires_at = serializers.SerializerMethodField()
    items = serializers.SerializerMethodField()
    creation_time = TimestampField(source="created_at")
    update_time = TimestampField(source="updated_at")

    def get_expires_at(self, row: CVEAllowlist) -> int | None:
        """Return when the list ends to count, in seconds since 1970; nothing for never."""
        return None if row.expires_at is None else int(row.expires_at.timestamp())

    def get_items(self, row: CVEAllowlist) -> list[dict[str, str]]:
        """Return the vulnerabilities in order."""
        return [{"cve_id": cve_id} for cve_id in row.cve_ids[: self.context.get("maximum_items")]]


def wanted_allowlist(body: Mapping[str, Any]) -> WantedAllowlist:
    """Return what a request wants a list to say."""
    seconds = body.get("expires_at")
    return WantedAllowlist(
        cve_ids=tuple(item["cve_id"] for item in body.get("items") or ()),
        expires_at=None if seconds is None else datetime.fromtimestamp(seconds, UTC),
    )


def shown_allowlists(
    actor: Actor, projects: Sequence[Project], *, is_list: bool
) -> Mapping[int, Any]:
    """Return the list in force in each project as it is shown, with one statement.

    That of the system is for those who are signed in. In a list of projects each shows its first
    ``LISTED_ITEMS``.
    """
    context = {"maximum_items": LISTED_ITEMS} if is_list else {}
    shown = {}
    found = effective_allowlists(projects)
    for project in projects:
        row = found.get(project.pk)
        if row is None or (actor.is_anonymous and reuses_system_allowlist(project)):
            shown[project.pk] = {"project_id": project.pk, "items": []}
        else:
            shown[project.pk] = {
                **AllowlistSerializer(row, context=context).data,
                "project_id": project.pk,
            }
    return shown
