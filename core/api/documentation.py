"""How views describe themselves, and the OpenAPI document made of it."""

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from core.api.fields import ErrorsSerializer
from core.api.permissions import Filtered, Public

Method = TypeVar("Method", bound=Callable[..., Any])
Endpoint = tuple[str, str, str, Any]
"""A path, its pattern, a method and the view."""

ERROR_DESCRIPTIONS = {
    400: "The request is malformed or a value breaks a rule.",
    401: "Credentials are missing or wrong.",
    403: "The caller lacks the permission.",
    404: "What the path names does not exist.",
    409: "An object of that name exists already, or the request was carried out before.",
    412: "The current state does not allow this, or is not the one of If-Match.",
    413: "The request body is too large.",
    414: "The path or the query is too long; nobody is asked before who they are.",
    415: "The request body is not JSON.",
    422: "A value is of the wrong type or out of its bounds.",
    429: "Too many attempts; see Retry-After.",
    501: "The operation belongs to a feature that this version does not have.",
    503: "Not possible at the moment; trying again later is safe.",
}
CONDITIONAL = "x-conditional"
KEYLESS = "x-keyless"
_ALWAYS = (400, 401, 403, 404, 414, 422, 429, 503)

_PATH_PARAMETERS: dict[str, tuple[Any, str]] = {
    "project": (
        OpenApiTypes.STR,
        "Name or id of the project; digits are an id unless X-Is-Resource-Name is true.",
    ),
    "project_name": (OpenApiTypes.STR, "Name of the project."),
    "repository": (
        OpenApiTypes.STR,
        "Name of the repository without its project, URL-encoded twice.",
    ),
    "reference": (OpenApiTypes.STR, "Tag or digest."),
    "tag": (OpenApiTypes.STR, "Name of the tag."),
    "addition": (
        OpenApiTypes.STR,
        "build_history, values.yaml, readme.md, dependencies, sbom, license or files, as the "
        "addition_links of the artifact have it.",
    ),
    "digest": (OpenApiTypes.STR, "Digest."),
    "meta_name": (OpenApiTypes.STR, "Name of the metadata."),
}
LIST_PARAMETERS = (
    OpenApiParameter("page", int, description="Page to return, from 1.", default=1),
    OpenApiParameter(
        "page_size", int, description="Rows of a page, 1 to 100; 0: all, up to 1,000.", default=10
    ),
)
QUERY_PARAMETERS = (
    OpenApiParameter(
        "q",
        str,
        description="Filter: comma-separated k=v, k=~v, k=[a~b], k={a b} or k=(a b).",
    ),
    OpenApiParameter(
        "sort", str, description="Order: comma-separated keys, descending with a minus."
    ),
)
CREATED_HEADERS = (
    OpenApiParameter(
        "Location",
        str,
        OpenApiParameter.HEADER,
        description="Path of the new object.",
        response=[201],
    ),
)
LIST_HEADERS = tuple(
    OpenApiParameter(name, kind, OpenApiParameter.HEADER, description=meaning, response=[200])
    for name, kind, meaning in (
        ("X-Total-Count", int, "Number of rows on all pages."),
        ("Link", str, "The next and previous page, as rel=next and rel=prev."),
    )
)


class CredentialsScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Documents the two forms of credentials."""

    target_class = "core.authn.api.authentication.CredentialsAuthentication"
    # The base class declares it as plain attribute of the class.
    name = ["basic", "token"]  # noqa: RUF012

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        """Return the two as alternatives."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        """Return Basic with a password, robot secret or token, and Bearer with a token."""
        return [
            {"type": "http", "scheme": "basic"},
            {"type": "http", "scheme": "bearer", "bearerFormat": "rsd_pat_..."},
        ]


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Documents the cookie of a session."""

    target_class = "core.authn.api.authentication.BrowserSessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return the cookie and what has to come with it."""
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": (
                "Set by POST /c/login. Each response to it carries X-Harbor-CSRF-Token, which"
                " requests other than GET, HEAD and OPTIONS send back in that header."
            ),
        }


class ManagementSchema(AutoSchema):
    """Describes path parameters by their name, the same in every route."""

    def get_auth(self) -> list[dict[str, Any]]:
        """Return the forms of credentials, and none where anyone may call."""
        auth: list[dict[str, Any]] = super().get_auth()
        access = getattr(self.view, "access", {}).get(self.method)
        is_open = isinstance(access, Public | Filtered) or getattr(access, "is_open", False)
        return [*auth, {}] if is_open else auth

    def get_operation(self, *arguments: Any) -> dict[str, Any] | None:
        """Return the operation; with marks for ``core.api.conventions`` about what counts in it."""
        described: dict[str, Any] | None = super().get_operation(*arguments)
        if described is not None and self.method == "POST":
            described[CONDITIONAL] = getattr(self.view, "changes", None) is not None
            described[KEYLESS] = not getattr(self.view, "takes_keys", True)
        return described

    def _resolve_path_parameters(self, variables: Iterable[str]) -> list[dict[str, Any]]:
        parameters = []
        for name in variables:
            kind, description = _PATH_PARAMETERS.get(
                name, (OpenApiTypes.INT64, f"Id of the {name.removesuffix('_id')}.")
            )
            is_number = kind is OpenApiTypes.INT64
            parameters.append(
                {
                    "in": "path",
                    "name": name,
                    "required": True,
                    "description": description,
                    "schema": {"type": "integer", "format": "int64"}
                    if is_number
                    else {"type": "string"},
                }
            )
        return parameters


def add_head(endpoints: list[Endpoint], **_others: object) -> list[Endpoint]:
    """Let views that answer HEAD in a way of their own be described with it.

    A hook of drf-spectacular, which leaves out HEAD as something that comes with every GET.
    """
    heads = [
        (path, pattern, "HEAD", callback)
        for path, pattern, method, callback in endpoints
        if method == "GET" and hasattr(getattr(callback, "cls", None), "head")
    ]
    return [*endpoints, *heads]


def operation(
    summary: str,
    *,
    tag: str,
    body: Any = None,
    answer: Any = None,
    status: int | None = 200,
    is_list: bool = False,
    has_query: bool = False,
    parameters: Iterable[OpenApiParameter] = (),
    errors: Iterable[int] = (),
    later: str = "",
    media_type: str = "application/json",
) -> Callable[[Method], Method]:
    """Document one method of a view.

    ``body`` and ``answer`` are serializer classes or OpenAPI types; None means an empty body.
    ``status`` is that of success, None for operations that never succeed. ``later`` names the
    missing feature of an operation that comes later. The summary, unique in the API, also names
    the operation.
    """
    documented: dict[int | tuple[int, str], Any] = {
        code: OpenApiResponse(ErrorsSerializer, ERROR_DESCRIPTIONS[code])
        for code in sorted({*_ALWAYS, *errors, *((413, 415) if body is not None else ())})
    }
    shape = answer(many=True) if is_list and isinstance(answer, type) else answer
    if status is not None:
        documented[status, media_type] = OpenApiResponse(
            shape, "Done." if answer is None else "The answer."
        )
    listed = (*LIST_PARAMETERS, *(QUERY_PARAMETERS if has_query else ())) if is_list else ()
    headers = LIST_HEADERS if is_list else CREATED_HEADERS if status == 201 else ()
    decorator: Callable[[Method], Method] = extend_schema(
        operation_id=_operation_id(summary),
        summary=summary,
        tags=[tag],
        request=body,
        responses=documented,
        parameters=[*listed, *parameters, *headers],
        filters=False,
        extensions={"x-later": later} if later else None,
    )
    return decorator


def _operation_id(summary: str) -> str:
    first, *others = re.findall(r"[A-Za-z0-9]+", summary)
    return str(first).lower() + "".join(str(word).capitalize() for word in others)
