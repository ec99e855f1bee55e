"""Artifacts of a repository, their tags and what is attached to them."""

from typing import ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.errors import PreconditionFailed
from core.api.listing import boolean
from core.api.permissions import Access
from core.artifacts.api.bulk import artifact_context, immutability_of
from core.artifacts.api.filters import (
    ACCESSORY_LISTING,
    ARTIFACT_LISTING,
    TAG_LISTING,
    artifacts_of,
)
from core.artifacts.api.scope import RepositoryScopedView
from core.artifacts.api.serializers import (
    AccessorySerializer,
    ArtifactSerializer,
    TagRequestSerializer,
    TagSerializer,
)
from core.artifacts.errors import ContentInUse, ManifestUnknown
from core.artifacts.models import Manifest, Tag
from core.artifacts.services.labels import add_label, remove_label
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.services.tags import create_tag, delete_tag
from core.labels.api.serializers import LabelReferenceSerializer
from core.oci.digest import Digest

_WITH_IMMUTABLE_STATUS = OpenApiParameter(
    "with_immutable_status",
    bool,
    description="Accepted for clients that ask; tags always say whether they are immutable.",
    default=True,
)
_FLAGS = (
    OpenApiParameter("with_tag", bool, description="With tags.", default=True),
    OpenApiParameter("with_label", bool, description="With labels.", default=False),
    OpenApiParameter("with_accessory", bool, description="With accessories.", default=False),
    _WITH_IMMUTABLE_STATUS,
)


class ArtifactsView(RepositoryScopedView):
    """The artifacts of a repository."""

    access: ClassVar[dict[str, Access]] = {"GET": "artifact:list"}

    @operation(
        "List artifacts",
        tag="artifacts",
        answer=ArtifactSerializer,
        is_list=True,
        has_query=True,
        parameters=_FLAGS,
    )
    def get(self, request: Request, project_name: str, repository: str) -> Response:
        """Return the newest artifact first; children of an index and accessories are hidden."""
        flags = _flags(request)
        return self.page(
            artifacts_of(self.repository, request.query_params.get("q", "")),
            ArtifactSerializer,
            ARTIFACT_LISTING,
            lambda manifests: artifact_context(self.repository, manifests, **flags),
        )


class ArtifactView(RepositoryScopedView):
    """One artifact."""

    access: ClassVar[dict[str, Access]] = {
        "GET": "artifact:read",
        "DELETE": "artifact:delete",
    }

    @operation("Get an artifact", tag="artifacts", answer=ArtifactSerializer, parameters=_FLAGS)
    def get(self, request: Request, project_name: str, repository: str, reference: str) -> Response:
        """Return the artifact that a tag or digest names."""
        context = artifact_context(self.repository, [self.manifest], **_flags(request))
        return Response(ArtifactSerializer(self.manifest, context=dict(context)).data)

    @operation("Delete an artifact", tag="artifacts", errors=(412,))
    def delete(
        self, request: Request, project_name: str, repository: str, reference: str
    ) -> Response:
        """Delete the artifact with all its tags."""
        digest = Digest.from_bytes(bytes(self.manifest.digest))
        try:
            delete_manifest(self.full_name, digest, actor=self.actor)
        except ContentInUse as error:
            # The distribution API calls this unsupported; here clients expect 412.
            raise PreconditionFailed(error.message) from error
        return self.done()


class ArtifactTagsView(RepositoryScopedView):
    """The tags of an artifact."""

    access: ClassVar[dict[str, Access]] = {"GET": "tag:list", "POST": "tag:create"}

    @operation(
        "List tags of an artifact",
        tag="artifacts",
        answer=TagSerializer,
        is_list=True,
        has_query=True,
        parameters=[_WITH_IMMUTABLE_STATUS],
    )
    def get(self, request: Request, project_name: str, repository: str, reference: str) -> Response:
        """Return the live tags by name."""
        _ensure_immutable_status(request)
        tags = Tag.objects.filter(manifest=self.manifest, ended_at=None)
        return self.page(
            tags,
            TagSerializer,
            TAG_LISTING,
            lambda _tags: {"immutability": immutability_of(self.repository)},
        )

    @operation(
        "Tag an artifact",
        tag="artifacts",
        body=TagRequestSerializer,
        status=201,
        errors=(409,),
    )
    def post(
        self, request: Request, project_name: str, repository: str, reference: str
    ) -> Response:
        """Let a new tag name the artifact."""
        name = self.parse(TagRequestSerializer)["name"]
        digest = Digest.from_bytes(bytes(self.manifest.digest))
        create_tag(self.full_name, digest, name, actor=self.actor)
        return self.created(name)


class ArtifactTagView(RepositoryScopedView):
    """One tag of an artifact."""

    access: ClassVar[dict[str, Access]] = {"DELETE": "tag:delete"}

    @operation("Delete a tag", tag="artifacts", errors=(412,))
    def delete(
        self, request: Request, project_name: str, repository: str, reference: str, tag: str
    ) -> Response:
        """End the tag; the artifact and the tag's history stay."""
        if not Tag.objects.filter(manifest=self.manifest, name=tag, ended_at=None).exists():
            raise ManifestUnknown(f"The artifact has no tag {tag}.")
        delete_tag(self.full_name, tag, actor=self.actor)
        return self.done()


class ArtifactLabelsView(RepositoryScopedView):
    """The labels of an artifact, which it is shown with."""

    access: ClassVar[dict[str, Access]] = {"POST": "artifact-label:create"}

    @operation("Label an artifact", tag="artifacts", body=LabelReferenceSerializer, errors=(409,))
    def post(
        self, request: Request, project_name: str, repository: str, reference: str
    ) -> Response:
        """Put a global label or one of the project on the artifact; 200, as Harbor answers."""
        label_id = self.parse(LabelReferenceSerializer)["id"]
        digest = Digest.from_bytes(bytes(self.manifest.digest))
        add_label(self.full_name, digest, label_id, actor=self.actor)
        return self.done()


class ArtifactLabelView(RepositoryScopedView):
    """One label of an artifact."""

    access: ClassVar[dict[str, Access]] = {"DELETE": "artifact-label:delete"}

    @operation("Take a label off an artifact", tag="artifacts")
    def delete(
        self, request: Request, project_name: str, repository: str, reference: str, label_id: int
    ) -> Response:
        """Take the label off; the label itself stays."""
        digest = Digest.from_bytes(bytes(self.manifest.digest))
        remove_label(self.full_name, digest, label_id, actor=self.actor)
        return self.done()


class AccessoriesView(RepositoryScopedView):
    """What is attached to an artifact: signatures, SBOMs and the like."""

    access: ClassVar[dict[str, Access]] = {"GET": "accessory:list"}

    @operation(
        "List accessories of an artifact",
        tag="artifacts",
        answer=AccessorySerializer,
        is_list=True,
        has_query=True,
    )
    def get(self, request: Request, project_name: str, repository: str, reference: str) -> Response:
        """Return the manifests whose subject is the artifact, the newest first."""
        accessories = Manifest.objects.filter(
            repository=self.repository, subject=bytes(self.manifest.digest)
        )
        return self.page(
            accessories.defer("payload"),
            AccessorySerializer,
            ACCESSORY_LISTING,
            lambda _rows: {"subject": self.manifest, "repository": self.repository},
        )


def _flags(request: Request) -> dict[str, bool]:
    """Return what ``artifact_context`` is to read along. Raises ``BadRequest``."""
    _ensure_immutable_status(request)
    return {
        argument: boolean(request.query_params.get(name, default), name)
        for argument, name, default in (
            ("with_tags", "with_tag", "true"),
            ("with_labels", "with_label", "false"),
            ("with_accessories", "with_accessory", "false"),
        )
    }


def _ensure_immutable_status(request: Request) -> None:
    """Refuse a ``with_immutable_status`` that is no truth value. Raises ``BadRequest``."""
    boolean(request.query_params.get("with_immutable_status", "true"), "with_immutable_status")
