"""/service/token: credentials in, a registry token out (token and OAuth2 protocols).

docker, crane and oras ask by GET with Basic; containerd and credential helpers by POST with a
form, and fall back to GET. Without credentials everybody gets a token for what is public.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final
from urllib.parse import parse_qs

from django.conf import settings
from starlette.responses import Response

from core.artifacts.queries import find_target
from core.artifacts.types import TargetLookup
from core.authn import registry_tokens, services
from core.authn.errors import InvalidCredentials
from core.authn.types import Access, Credentials, IssuedToken, ProjectStamp, Session
from core.rbac.services import allowed_among
from core.rbac.types import Actor
from registry_api.calls import Call
from registry_api.errors import RegistryError, to_response
from registry_api.scopes import (
    RequestedScopes,
    grant_access,
    granted_scope,
    parse_scopes,
    repositories_of,
)
from registry_api.threads import Work, in_thread

MAX_FORM_BYTES: Final = 65_536
_MAX_FORM_FIELDS: Final = 1_024
_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_NOT_STORED: Final = {"Cache-Control": "no-store"}
_YES: Final = frozenset({"true", "1", "yes"})

Fields = Mapping[str, list[str]]


def get_token(call: Call) -> Response:
    """Answer a token for the credentials of the Basic header, or for everybody without one."""
    header = call.headers.get("authorization")
    _ensure_service(call, call.query)
    if header is None:
        return _answer_anonymous(call)
    scheme, _, value = header.partition(" ")
    credentials = Credentials.from_basic(value) if scheme.lower() == "basic" else None
    if credentials is None:
        raise _unauthorized("The Authorization header must hold Basic credentials.")
    wants_refresh_token = _first(call.query, "offline_token").lower() in _YES
    try:
        return _answer(
            call,
            lambda: services.verify_credentials(credentials, origin=call.origin),
            call.query,
            wants_refresh_token=wants_refresh_token,
        )
    except InvalidCredentials as error:
        raise _unauthorized(error.message) from error


async def post_token(call: Call) -> Response:
    """Answer a token for the credentials of a form (OAuth2: password and refresh_token)."""
    try:
        form = await _receive_form(call)
        return await in_thread(Work.LOGIN, _answer_form, call, form)
    except OAuth2Error as error:
        return error.response()


def get_keys(call: Call) -> Response:
    """Answer the public keys with which others can verify registry tokens (RFC 7517)."""
    body = json.dumps(registry_tokens.public_keys(), separators=(",", ":"))
    headers = {"Cache-Control": "public, max-age=300"}
    return Response(body, headers=headers, media_type="application/jwk-set+json")


class OAuth2Error(Exception):
    """A refusal in the shape of RFC 6749, section 5.2, beside the registry's envelope."""

    def __init__(self, error: str, cause: RegistryError) -> None:
        self.error = error
        self.cause = cause
        super().__init__(cause.message)

    def response(self) -> Response:
        """Return the answer."""
        response = to_response(self.cause)
        members = {
            "error": self.error,
            "error_description": self.cause.message,
            **json.loads(bytes(response.body)),
        }
        headers = self.cause.headers | _NOT_STORED
        body = json.dumps(members, separators=(",", ":"))
        return Response(body, self.cause.status, headers, media_type="application/json")


def _answer_form(call: Call, form: Fields) -> Response:
    grant_type = _first(form, "grant_type")
    _ensure_service(call, form)
    if grant_type not in ("password", "refresh_token"):
        message = "The grant_type must be password or refresh_token."
        cause = RegistryError("UNSUPPORTED", message, status=400)
        raise OAuth2Error("unsupported_grant_type", cause)
    try:
        if grant_type == "refresh_token":
            secret = _first(form, "refresh_token")
            return _answer(
                call,
                lambda: services.redeem_refresh_token(secret, origin=call.origin),
                form,
                refresh_token=secret,
            )
        credentials = Credentials(_first(form, "username"), _first(form, "password"))
        return _answer(
            call,
            lambda: services.verify_credentials(credentials, origin=call.origin),
            form,
            wants_refresh_token=_first(form, "access_type") == "offline",
        )
    except InvalidCredentials as error:
        raise OAuth2Error("invalid_grant", _unauthorized(error.message)) from error


def _answer(
    call: Call,
    verify: Callable[[], Actor],
    fields: Fields,
    *,
    refresh_token: str | None = None,
    wants_refresh_token: bool = False,
) -> Response:
    """Issue a token for as much of what is asked for as the proven actor may do."""
    requested = parse_scopes(fields.get("scope", ()))
    session, lookups = services.open_session(verify, read=partial(_find_targets, requested))
    if wants_refresh_token:
        refresh_token = services.issue_refresh_token(session, client=_first(fields, "client_id"))
    return _issue(call, session, requested, lookups, refresh_token)


def _answer_anonymous(call: Call) -> Response:
    """Issue a token for what is public; nothing of it outlasts the next look at the project."""
    actor = Actor.anonymous(call.origin)
    requested = parse_scopes(call.query.get("scope", ()))
    lookups = _find_targets(requested, actor.subject)
    return _issue(call, Session(actor, generation=0), requested, lookups, None)


def _find_targets(requested: RequestedScopes, subject: str) -> Mapping[str, TargetLookup]:
    return {name: find_target(name, subject) for name in repositories_of(requested)}


def _issue(
    call: Call,
    session: Session,
    requested: RequestedScopes,
    lookups: Mapping[str, TargetLookup],
    refresh_token: str | None,
) -> Response:
    def held(name: str, permissions: Iterable[str]) -> frozenset[str]:
        return allowed_among(session.actor, permissions, lookups[name].target(name))

    access = grant_access(session.actor, requested, held)
    issued = registry_tokens.issue(
        session,
        access,
        projects=_stamps(lookups),
        service=call.external.service,
    )
    return _token_response(issued, access, refresh_token)


def _stamps(lookups: Mapping[str, TargetLookup]) -> Mapping[str, ProjectStamp]:
    """Return which projects the names mean; those of missing ones say nothing yet."""
    stamps: dict[str, ProjectStamp] = {}
    for name, lookup in lookups.items():
        if lookup.project is not None:
            # The oldest of two that were read counts: what rests on the newer one ends, then.
            stamp = ProjectStamp(lookup.project.id, lookup.project.generation)
            stamps.setdefault(name.partition("/")[0], stamp)
    return stamps


def _token_response(
    issued: IssuedToken, access: Sequence[Access], refresh_token: str | None
) -> Response:
    members: dict[str, object] = {
        "token": issued.token,
        "access_token": issued.token,
        "token_type": "Bearer",
        "scope": granted_scope(access),
        "expires_in": issued.expires_in_seconds,
        "issued_at": issued.issued_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    if refresh_token is not None:
        members["refresh_token"] = refresh_token
    body = json.dumps(members, separators=(",", ":"))
    return Response(body, headers=_NOT_STORED, media_type="application/json")


def _ensure_service(call: Call, fields: Fields) -> None:
    """Refuse to speak for another service, where it is configured which one this is."""
    service = _first(fields, "service")
    accepted = {call.external.service, call.headers.get("host", "")}
    if settings.ROADSTEAD.server.external_url and service and service not in accepted:
        raise RegistryError("UNSUPPORTED", "The service is not this registry.", status=400)


async def _receive_form(call: Call) -> Fields:
    content_type = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _FORM_TYPE:
        message = f"The body must be {_FORM_TYPE}."
        raise _invalid_request(RegistryError("UNSUPPORTED", message, status=400))
    body = b""
    while not call.body_has_ended():
        body += await call.receive()
        if len(body) > MAX_FORM_BYTES:
            message = "The form is too long."
            raise _invalid_request(RegistryError("SIZE_INVALID", message, status=413))
    try:
        return parse_qs(
            body.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_FORM_FIELDS,
        )
    except ValueError as error:
        message = "The form cannot be read."
        raise _invalid_request(RegistryError("UNSUPPORTED", message, status=400)) from error


def _invalid_request(cause: RegistryError) -> OAuth2Error:
    return OAuth2Error("invalid_request", cause)


def _unauthorized(message: str) -> RegistryError:
    headers = {"WWW-Authenticate": 'Basic realm="roadstead", charset="UTF-8"'}
    return RegistryError("UNAUTHORIZED", message, headers=headers)


def _first(fields: Fields, name: str) -> str:
    values: Iterable[str] = fields.get(name, ())
    return next(iter(values), "")
