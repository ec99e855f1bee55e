"""One action on many artifacts or tags of a repository."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.errors import about_member, code_of
from core.api.fields import ExactRequestSerializer, ResponseSerializer, TextField
from core.api.permissions import Access
from core.artifacts.api.artifact_views import ArtifactView
from core.artifacts.api.serializers import ArtifactSerializer
from core.artifacts.errors import BulkInvalid
from core.artifacts.services.bulk import MAXIMUM_ITEMS, act_in_bulk
from core.artifacts.types import BulkOutcome, BulkRequest, BulkSelector
from core.oci.digest import Digest

_PERMISSIONS = {"delete": "artifact:delete", "tag": "tag:create", "untag": "tag:delete"}
_LONGEST = 1024


class BulkSelectorSerializer(ExactRequestSerializer):
    """Chooses artifacts: those with a tag that matches a pattern, or those without a tag."""

    tag_pattern = TextField(required=False, max_length=_LONGEST)
    untagged = serializers.BooleanField(required=False, default=False)
    pushed_before = serializers.DateTimeField(required=False, default_timezone=UTC)


class BulkRequestSerializer(ExactRequestSerializer):
    """What to do with which artifacts or tags."""

    action = serializers.ChoiceField(choices=sorted(_PERMISSIONS))
    digests = serializers.ListField(
        child=TextField(max_length=_LONGEST), required=False, max_length=MAXIMUM_ITEMS
    )
    tags = serializers.ListField(
        child=TextField(max_length=_LONGEST), required=False, max_length=MAXIMUM_ITEMS
    )
    selector = BulkSelectorSerializer(required=False)
    dry_run = serializers.BooleanField(required=False, default=False)


class BulkItemSerializer(ResponseSerializer):
    """What became, or would become, of one artifact or tag."""

    always = frozenset({"done"})

    digest = serializers.SerializerMethodField()
    tag = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField(), source="ended_tags")
    along = serializers.ListField(child=serializers.CharField())
    done = serializers.SerializerMethodField()
    code = serializers.SerializerMethodField()
    message = serializers.SerializerMethodField()

    def get_digest(self, outcome: BulkOutcome) -> str:
        """Return the digest of the artifact, if there is one."""
        return str(outcome.digest or "")

    def get_done(self, outcome: BulkOutcome) -> bool:
        """Tell whether it was done, or would be."""
        return outcome.refusal is None

    def get_code(self, outcome: BulkOutcome) -> str:
        """Return the code that the request for this item alone would be refused with."""
        return code_of(outcome.refusal) if outcome.refusal else ""

    def get_message(self, outcome: BulkOutcome) -> str:
        """Return why it was not done."""
        return outcome.refusal.message if outcome.refusal else ""


class BulkAnswerSerializer(ResponseSerializer):
    """The outcome of each item, in the order in which they were acted on."""

    always = frozenset({"dry_run", "items"})

    dry_run = serializers.BooleanField()
    items = BulkItemSerializer(many=True)


class BulkView(ArtifactView):
    """Many artifacts at once. The path is also that of the artifact with the tag ``bulk``."""

    access: ClassVar[dict[str, Access]] = {**ArtifactView.access, "POST": "artifact:list"}
    exact = frozenset({"POST"})

    @operation(
        "Act on many artifacts",
        tag="artifacts",
        body=BulkRequestSerializer,
        answer=BulkAnswerSerializer,
    )
    def post(
        self, request: Request, project_name: str, repository: str, reference: str
    ) -> Response:
        """Delete artifacts, or set or end tags, each by itself; a dry run undoes everything.

        An artifact goes with all of its tags, also those that ``tag_pattern`` does not match, and
        with what belongs to it alone. The item's ``tags`` names all tags that go, ``along`` the
        digests of children and accessories. ``untag`` ends nothing but the tags that match.
        """
        wanted = _request(self.parse(BulkRequestSerializer))
        self.authorize(_PERMISSIONS[wanted.action], self.target)
        outcomes = act_in_bulk(self.repository, wanted, actor=self.actor)
        answer = {"dry_run": wanted.dry_run, "items": outcomes}
        return Response(BulkAnswerSerializer(answer).data)

    @operation("Get the artifact tagged bulk", tag="artifacts", answer=ArtifactSerializer)
    def get(self, request: Request, project_name: str, repository: str, reference: str) -> Response:
        """Return the artifact, as for any other tag."""
        return super().get(request, project_name, repository, reference)

    @operation("Delete the artifact tagged bulk", tag="artifacts", errors=(412,))
    def delete(
        self, request: Request, project_name: str, repository: str, reference: str
    ) -> Response:
        """Delete the artifact, as for any other tag."""
        return super().delete(request, project_name, repository, reference)


def _digests(texts: Iterable[str]) -> Iterator[Digest]:
    for index, text in enumerate(texts):
        with about_member(f"digests[{index}]"):
            digest = Digest.parse(text)
        yield digest


def _request(body: dict[str, Any]) -> BulkRequest:
    """Return the checked body as a value. Raises ``BulkInvalid`` and ``DigestInvalid``."""
    if not any(key in body for key in ("digests", "tags", "selector")):
        raise BulkInvalid("Name what to act on: digests, tags or a selector.")
    chosen = body.get("selector")
    before: datetime | None = chosen.get("pushed_before") if chosen else None
    return BulkRequest(
        action=body["action"],
        digests=tuple(dict.fromkeys(_digests(body.get("digests", ())))),
        tags=tuple(dict.fromkeys(body.get("tags", ()))),
        selector=None
        if chosen is None
        else BulkSelector(
            tag_pattern=chosen.get("tag_pattern", ""),
            is_untagged=chosen["untagged"],
            pushed_before=before,
        ),
        dry_run=body["dry_run"],
    )
