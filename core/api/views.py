"""The base of every management view: authorize, parse, render."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, cast

import structlog
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from core.api import conditions
from core.api.answered import Answered
from core.api.documentation import ManagementSchema
from core.api.errors import BadRequest, BodyEncoded, envelope
from core.api.exports import export, wanted_format
from core.api.filtering import ParameterFilter
from core.api.idempotency import HEADER, IdempotentPost
from core.api.listing import Listing
from core.api.origin import origin_of
from core.api.pagination import PageNumberPagination, Stretch, detailed
from core.api.parsers import BoundedJSONParser, ensure_storable_text, members_of
from core.api.permissions import (
    Access,
    DeclaredPermission,
    Deferred,
    ensure_covered,
    ensure_reaches_account,
    ensure_signed_in,
    ensure_within_token,
)
from core.common.origin import Origin
from core.database.transactions import Step, first_steps
from core.rbac.services import authorize
from core.rbac.types import Actor, Target

log = structlog.get_logger(__name__)

Context = Callable[[list[Any]], Mapping[str, Any]]
"""Given the rows of a page, what its serializer needs beside them, read in bulk."""

Count = Callable[[Request], Sequence[Stretch] | None]
"""How many rows the request selects, in their order; None when they have to be counted."""


class OnlyJSON(BaseContentNegotiation):
    """Answers in JSON whatever the client says it accepts."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        """Return the JSON parser when the body says it is JSON, else None (415).

        Raises ``BodyEncoded``.
        """
        media_type = self.media_type_of(request)
        is_json = media_type == "application/json" or media_type.endswith("+json")
        return cast("BaseParser", parsers[0]) if is_json else None

    @staticmethod
    def media_type_of(request: Request) -> str:
        """Return what a body says it is. Raises ``BodyEncoded`` when it is that only decoded."""
        encoding = request.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ("", "identity"):
            raise BodyEncoded
        return (request.content_type or "").partition(";")[0].strip().lower()

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the first renderer."""
        return renderers[0], renderers[0].media_type


class ManagementView(APIView):
    """One resource of the management API.

    ``access`` maps each method to what it needs; see ``core.api.permissions``. Methods stay
    short: parse, one call, render.
    """

    access: ClassVar[Mapping[str, Access]] = {}
    permission_classes = (DeclaredPermission,)
    parser_classes: Sequence[type[BaseParser]] = (BoundedJSONParser,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = OnlyJSON
    metadata_class = None
    schema = ManagementSchema()
    exact: ClassVar[frozenset[str]] = frozenset()
    """Methods that destroy, restore or move and are not Harbor's: what they do not know is refused.

    They take no query parameters, and DELETE no body.
    """
    changes: "ClassVar[type[ManagementView] | None]" = None
    """Whose state a POST changes, where that is an object with an entity tag of its own."""
    moved_by_use: ClassVar[frozenset[str]] = frozenset()
    """What GET shows that use alone moves, of the object and of those in its lists.

    ``If-Match`` does not look at it.
    """
    takes_keys: ClassVar[bool] = True
    """Whether a POST may come with ``Idempotency-Key``: its answer can be given again."""
    has_authorized = False
    # What the write of this request does first, in its transaction.
    _first_steps: list[Step]
    _idempotent: IdempotentPost | None = None

    @cached_property
    def origin(self) -> Origin:
        """Where the request came from."""
        return origin_of(cast(HttpRequest, self.request))

    @property
    def actor(self) -> Actor:
        """Who calls; the anonymous actor without credentials."""
        user = cast("Actor | None", self.request.user)
        return user if user is not None else Actor.anonymous(self.origin)

    @property
    def target(self) -> Target:
        """What the declared permission is checked against; the system unless overridden."""
        return Target.of_system()

    @property
    def named(self) -> Mapping[str, object]:
        """What the path names, the same for every path that leads to one object."""
        names: Mapping[str, object] = self.kwargs
        return names

    def hold(self) -> None:
        """Lock the object until the transaction ends, before ``If-Match`` is compared in it.

        Writers with ``If-Match`` keep each other apart anyway. This is for an object that others
        change as a whole, so that none comes between the comparison and the change.
        """

    def authorize(self, permission: str, target: Target) -> None:
        """Let the request pass or raise; the only call that does so."""
        ensure_within_token(self.actor, permission, target)
        authorize(self.actor, permission, target)
        self.has_authorized = True

    def authorize_signed_in(self, permission: str) -> None:
        """Let anyone with credentials pass whose token, if limited, covers the permission.

        A token limited to projects may only read here.
        """
        ensure_signed_in(self.actor)
        ensure_covered(self.actor, permission)
        ensure_reaches_account(self.actor, permission)
        self.has_authorized = True

    def authorize_visitor(self) -> None:
        """Let callers without credentials pass; what they ask for decides whether they may."""
        if not self.actor.is_anonymous:
            raise AssertionError("Callers with credentials are authorized by a permission.")
        self.has_authorized = True

    @property
    def allowed_methods(self) -> list[str]:
        """What ``Allow`` names: the declared methods, and HEAD where there is GET."""
        return sorted({*self.access, *(("HEAD",) if "GET" in self.access else ())})

    def access_for(self, method: str) -> Access | None:
        """Return what the method needs; HEAD needs what GET does unless declared."""
        declared = self.access.get(method)
        return self.access.get("GET") if declared is None and method == "HEAD" else declared

    def parse(self, serializer_class: type[BaseSerializer[Any]]) -> dict[str, Any]:
        """Return the validated request body, that of a request without one as an empty object.

        Raises ``ValidationError`` and ``UnprocessableEntity``, both 422.
        """
        serializer = serializer_class(data=members_of(self.request.data))
        serializer.is_valid(raise_exception=True)
        return cast("dict[str, Any]", serializer.validated_data)

    def page(
        self,
        rows: "QuerySet[Any]",
        serializer_class: type[BaseSerializer[Any]],
        listing: Listing | None = None,
        context: Context | None = None,
        parameters: type[ParameterFilter] | None = None,
        *,
        details: "QuerySet[Any] | None" = None,
        count: Count | None = None,
    ) -> Response:
        """Return one page of the rows, filtered and ordered as the request asks.

        ``parameters`` are filters that are query parameters of their own, beside ``q``. With
        ``details`` the rows of a page are found by their ids alone and then read from it, which
        is what long lists of wide rows need. ``count`` may know how many rows there are. A caller
        who asks for a file gets all rows (``Answered``).
        """
        if parameters is not None:
            filterset = parameters(self.request.query_params, queryset=rows)
            if not filterset.is_valid():
                raise ValidationError(filterset.errors)
            rows = filterset.qs
        if listing is not None:
            rows = listing.apply(rows, self.request)
        if details is not None:
            rows = rows.values_list("pk", flat=True)
        return self.page_of(rows, serializer_class, context, details=details, count=count)

    def page_of(
        self,
        rows: "QuerySet[Any] | Sequence[Any]",
        serializer_class: type[BaseSerializer[Any]],
        context: Context | None = None,
        *,
        details: "QuerySet[Any] | None" = None,
        count: Count | None = None,
    ) -> Response:
        """Return one page of rows as they are, or all of them as a file (``Answered``).

        With ``details`` the rows are ids that are read from it.
        """
        form = wanted_format(self.request)
        if form is not None:
            name = self.request.path.rstrip("/").rpartition("/")[2]
            raise Answered(
                export(rows, serializer_class, context, details=details, form=form, name=name)
            )
        paginator = PageNumberPagination()
        stretches = None if count is None else count(self.request)
        shown = paginator.paginate_queryset(
            rows, self.request, self, stretches=stretches, has_ids_only=details is not None
        )
        if details is not None:
            shown = detailed(details, shown)
        extra = dict(context(shown)) if context is not None and shown else {}
        serializer = serializer_class(shown, many=True, context=extra)
        return paginator.get_paginated_response(serializer.data)

    def created(self, identifier: object, body: object = None) -> Response:
        """Return 201 with the new object's path-absolute ``Location``."""
        path = self.request.get_full_path().partition("?")[0].rstrip("/")
        response = Response(body, status=201)
        response["Location"] = f"{path}/{identifier}"
        return response

    def done(self) -> Response:
        """Return what updates and deletes answer: 200 without a body."""
        return Response(status=200)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse text that nothing can store, then authenticate and authorize."""
        ensure_storable_text(request.path, "The path")
        for name, values in request.query_params.lists():
            ensure_storable_text(str(name), "The name of a parameter")
            for value in values:
                ensure_storable_text(str(value), f"{name[:64]} in query")
        super().initial(request, *args, **kwargs)
        if request.method in self.exact:
            self._ensure_nothing_unknown(request)
        self._prepare_write(request)

    def handle_exception(self, exc: Exception) -> Response:
        """Render a failure, or pass on the answer that was found elsewhere."""
        if isinstance(exc, Answered):
            # Django only needs some response here, as everything after this does.
            return cast("Response", exc.response)
        return super().handle_exception(exc)

    def _ensure_nothing_unknown(self, request: Request) -> None:
        """Refuse what would be ignored, such as ``dry_run`` in the query. Raises ``BadRequest``."""
        for name in request.query_params:
            raise BadRequest(f"{name[:64]} in query is not known; nothing was done.")
        if request.method == "DELETE" and request.data:
            raise BadRequest("The request takes no body; nothing was done.")

    def _prepare_write(self, request: Request) -> None:
        """Heed ``Idempotency-Key`` and ``If-Match``, now and in the transaction of the write."""
        if request.method == "POST" and HEADER in request.headers:
            if not self.takes_keys:
                raise BadRequest(f"{HEADER} does not count for this request; nothing was done.")
            self._idempotent = IdempotentPost(request, self.actor)
            self._idempotent.hold()
            earlier = self._idempotent.earlier_response()
            if earlier is not None:
                self.has_authorized = True
                raise Answered(earlier)
            self._first_steps.append(self._idempotent.record)
        header = request.headers.get("If-Match")
        # An empty one names no state: whoever sends it has lost the tag that they mean.
        if header is not None and conditions.is_evaluated(self, request.method or ""):
            conditions.ensure_matches(self, header)
            self._first_steps.append(partial(conditions.ensure_matches_locked, self, header))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Handle the request with its id bound to the log."""
        with (
            structlog.contextvars.bound_contextvars(request_id=origin_of(request).request_id),
            first_steps() as self._first_steps,
        ):
            try:
                return super().dispatch(request, *args, **kwargs)
            finally:
                if self._idempotent is not None:
                    self._idempotent.let_go()

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """Add the headers of every response; refuse to pass on what nobody authorized."""
        access = self.access_for(request.method or "")
        if isinstance(access, Deferred) and not self.has_authorized and response.status_code < 400:
            log.error("response_without_authorization", view=type(self).__name__)
            response = Response(envelope(500, "internal server error"), status=500)
        if self._idempotent is not None:
            self._idempotent.complete(response)
        if request.method in ("GET", "HEAD") and conditions.is_single(self):
            response = conditions.conditional(self, response)
        final = super().finalize_response(request, response, *args, **kwargs)
        final["X-Request-Id"] = self.origin.request_id
        final["Cache-Control"] = "no-store"
        return final
