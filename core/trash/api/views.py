"""The trash of a project, and tags that return to what they named."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.db.models import F
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.permissions import Access
from core.artifacts.api.scope import RepositoryScopedView
from core.artifacts.models import TrashedTag, TrashEntry
from core.common.clock import now
from core.oci.digest import Digest
from core.projects.api.scope import ProjectView
from core.trash import queries, services
from core.trash.api.filters import TRASH_LISTING
from core.trash.api.serializers import (
    LeftOutSerializer,
    RestoreRequestSerializer,
    TagRestoreSerializer,
    TrashEntrySerializer,
)


class TrashView(ProjectView):
    """What was deleted in a project and can be restored."""

    access: ClassVar[dict[str, Access]] = {"GET": "trash:list", "DELETE": "trash:delete"}
    exact = frozenset({"DELETE"})

    @operation(
        "List the trash",
        tag="trash",
        answer=TrashEntrySerializer,
        is_list=True,
        has_query=True,
    )
    def get(self, request: Request, project: str) -> Response:
        """Return the entries, the last deleted first."""
        return self.page(
            queries.list_entries(self.project, now()),
            TrashEntrySerializer,
            TRASH_LISTING,
            self._context,
        )

    @operation("Empty the trash", tag="trash")
    def delete(self, request: Request, project: str) -> Response:
        """Let go of everything in the trash, for good."""
        services.empty_trash(self.project, actor=self.actor)
        return self.done()

    def _context(self, entries: Sequence[TrashEntry]) -> Mapping[str, Any]:
        return _context(self.project.name, entries)


class TrashEntryView(ProjectView):
    """One entry of the trash."""

    access: ClassVar[dict[str, Access]] = {"GET": "trash:list", "DELETE": "trash:delete"}
    exact = frozenset({"DELETE"})

    @operation("Get an entry of the trash", tag="trash", answer=TrashEntrySerializer)
    def get(self, request: Request, project: str, entry_id: int) -> Response:
        """Return the entry."""
        entry = queries.get_entry(self.project, entry_id, now())
        context = dict(_context(self.project.name, [entry]))
        return Response(TrashEntrySerializer(entry, context=context).data)

    @operation("Delete an entry of the trash", tag="trash")
    def delete(self, request: Request, project: str, entry_id: int) -> Response:
        """Let go of the entry, for good."""
        services.delete_entry(self.project, entry_id, actor=self.actor)
        return self.done()


class TrashRestoreView(ProjectView):
    """The way out of the trash."""

    access: ClassVar[dict[str, Access]] = {"POST": "trash:restore"}
    exact = frozenset({"POST"})
    changes = TrashEntryView

    @operation(
        "Restore an entry of the trash",
        tag="trash",
        body=RestoreRequestSerializer,
        answer=LeftOutSerializer,
        errors=(409, 412),
    )
    def post(self, request: Request, project: str, entry_id: int) -> Response:
        """Bring back what was deleted; the body may choose among the tags of a manifest.

        Labels and grants whose label, user or group was deleted meanwhile are left out, and so
        are the ends of tags that are over.
        """
        wanted = self.parse(RestoreRequestSerializer)
        left_out = services.restore_entry(
            self.project, entry_id, tags=wanted.get("tags"), actor=self.actor
        )
        return Response(LeftOutSerializer(left_out).data)


class TagRestoreView(RepositoryScopedView):
    """The way of a tag back to what it named."""

    access: ClassVar[dict[str, Access]] = {"POST": "repository:push"}
    exact = frozenset({"POST"})

    @operation(
        "Restore a tag",
        tag="trash",
        body=TagRestoreSerializer,
        answer=LeftOutSerializer,
        errors=(412,),
    )
    def post(self, request: Request, project_name: str, repository: str, tag: str) -> Response:
        """Let the tag name a digest of its history again, live or in the trash, to its end then."""
        digest = Digest.parse(self.parse(TagRestoreSerializer)["digest"])
        left_out = services.restore_tag(self.full_name, tag, digest, actor=self.actor)
        return Response(LeftOutSerializer(left_out).data)


def _context(project_name: str, entries: Sequence[TrashEntry]) -> Mapping[str, Any]:
    """Return what shows the entries, the tags of all manifests with one statement."""
    ids = [entry.pk for entry in entries if entry.kind == "manifest"]
    tags: dict[int, list[TrashedTag]] = defaultdict(list)
    own = TrashedTag.objects.filter(entry__in=ids, digest=F("entry__digest"))
    for tag in own.order_by("id"):
        tags[tag.entry_id].append(tag)
    return {"project": project_name, "tags": tags}
