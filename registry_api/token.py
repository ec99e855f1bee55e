"""/service/token: credentials in, a registry token out (token and OAuth2 protocols).

docker, crane and oras ask by GET with Basic; containerd and credential helpers by POST with a
form, and fall back to GET. Without credentials everybody gets a token for what is public.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from django.conf import settings
from starlette.responses import Response

from core.artifacts.queries import find_redirected_target, find_target
from core.artifacts.types import TargetLookup
from core.audit.buffer import BUFFER
from core.authn import registry_tokens, services
from core.authn.errors import InvalidCredentials, SigningKeyUnreadable
from core.authn.login_records import note_login
from core.authn.signing_keys import KEY_RING, Signer
from core.authn.types import Credentials
from core.common.origin import Origin
from core.rbac.services import allowed_among
from core.rbac.types import Actor
from core.system_settings import queries as system_settings
from registry_api.answers import Answer, Headers
from registry_api.batches import Batches
from registry_api.calls import Call, parsed_query
from registry_api.errors import RegistryError
from registry_api.logins import (
    Inquiry,
    Undecided,
    ensure_no_former_name,
    inquiry_about,
    inquiry_about_anybody,
)
from registry_api.recent_tokens import RecentToken, RecentTokens
from registry_api.remembered import fingerprint
from registry_api.scopes import (
    RequestedScopes,
    Standing,
    grant_access,
    granted_scope,
    parse_scopes,
    repositories_of,
    settle,
    stamps_of,
)
from registry_api.threads import Work, in_thread
from registry_api.token_forms import Fields, OAuth2Error, first_of, receive_form

_YES: Final = frozenset({"true", "1", "yes"})

_MAX_REMEMBERED_QUERY_BYTES: Final = 1_024
_TOKEN_HEADERS: Final = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
)


class Asked(NamedTuple):
    """The fields of a request, and what of them is asked for.

    ``wants_refresh_token`` says that the client means to keep one instead of a password.
    """

    fields: Fields
    service: str
    requested: RequestedScopes
    names: Sequence[str]
    wants_refresh_token: bool

    @classmethod
    def of(cls, fields: Fields) -> "Asked":
        """Take the fields apart. Raises RegistryError when too much is asked for."""
        requested = parse_scopes(fields.get("scope", ()))
        is_offline = first_of(fields, "access_type") == "offline"
        return cls(
            fields,
            first_of(fields, "service"),
            requested,
            repositories_of(requested),
            is_offline or first_of(fields, "offline_token").lower() in _YES,
        )


async def get_token(call: Call) -> Response:
    """Answer a token for the credentials of the Basic header, or for everybody without one."""
    header = call.headers.get("authorization")
    asked = _asked_in_query(call)
    if header is None:
        return await _answer_anonymous(call, asked)
    scheme, _, value = header.partition(" ")
    try:
        if scheme.lower() == "basic":
            response = await _answer_quickly(call, asked, value, Credentials.from_basic)
            if response is not None:
                return response
            credentials = Credentials.from_basic(value)
            if credentials is not None:
                return await _answer_carefully(call, asked, credentials)
    except InvalidCredentials as error:
        raise _unauthorized(error.message) from error
    raise _unauthorized("The Authorization header must hold Basic credentials.")


async def post_token(call: Call) -> Response:
    """Answer a token for the credentials of a form (OAuth2: password and refresh_token)."""
    try:
        asked = Asked.of(await receive_form(call))
        if first_of(asked.fields, "grant_type") == "password":
            credentials = _credentials_of(asked.fields)
            presented = f"{credentials.username}\n{credentials.secret}"
            response = await _answer_quickly(call, asked, presented, lambda _: credentials)
            if response is not None:
                return response
        return await in_thread(Work.LOGIN, _answer_form, call, asked)
    except InvalidCredentials as error:
        return OAuth2Error("invalid_grant", _unauthorized(error.message)).response()
    except OAuth2Error as error:
        return error.response()


def get_keys(call: Call) -> Response:
    """Answer the public keys with which others can verify registry tokens (RFC 7517)."""
    body = json.dumps(registry_tokens.public_keys(), separators=(",", ":"))
    headers = {"Cache-Control": "public, max-age=300"}
    return Response(body, headers=headers, media_type="application/jwk-set+json")


def _answer_form(call: Call, asked: Asked) -> Response:
    grant_type = first_of(asked.fields, "grant_type")
    if grant_type not in ("password", "refresh_token"):
        message = "The grant_type must be password or refresh_token."
        cause = RegistryError("UNSUPPORTED", message, status=400)
        raise OAuth2Error("unsupported_grant_type", cause)
    if grant_type == "refresh_token":
        secret = first_of(asked.fields, "refresh_token")
        return _answer(
            call,
            asked,
            lambda: services.redeem_refresh_token(secret, origin=call.origin),
            refresh_token=secret,
        )
    credentials = _credentials_of(asked.fields)
    return _answer(
        call, asked, lambda: services.verify_credentials(credentials, origin=call.origin)
    )


def _credentials_of(form: Fields) -> Credentials:
    return Credentials(first_of(form, "username"), first_of(form, "password"))


def _asked_in_query(call: Call) -> Asked:
    text: bytes = call.scope.get("query_string", b"")
    if len(text) > _MAX_REMEMBERED_QUERY_BYTES:
        return Asked.of(call.query)
    return _asked_in_short_query(text)


@lru_cache(maxsize=1024)
def _asked_in_short_query(text: bytes) -> Asked:
    """Clients ask for the same all day; a query holds no secrets."""
    return Asked.of(parsed_query(text))


async def _answer_quickly(
    call: Call, asked: Asked, presented: str, parse: Callable[[str], Credentials | None]
) -> Response | None:
    """Issue a token in the event loop; None leaves it to ``_answer``, in a thread.

    ``parse`` returns the credentials that were presented.
    """
    service = _service_for(call, asked)
    if BUFFER.is_full or asked.wants_refresh_token:
        return None
    signer = _recent_signer() or await _fresh_signer()
    if signer is None:
        return None

    def inquire() -> Inquiry:
        credentials = parse(presented)
        if credentials is None:
            raise Undecided
        return inquiry_about(credentials, asked.names)

    origin = call.origin
    try:
        token = await _issue_once_a_second(origin, service, asked, signer, presented, inquire)
        if token.without_repository:
            await ensure_no_former_name(token.without_repository)
    except (Undecided, InvalidCredentials):
        return None
    note_login(token.actor, origin)
    return Answer(token.body, 200, token.headers)


async def _answer_carefully(call: Call, asked: Asked, credentials: Credentials) -> Response:
    def verify() -> Actor:
        return services.verify_credentials(credentials, origin=call.origin)

    return await in_thread(Work.LOGIN, _answer, call, asked, verify)


def _answer(
    call: Call, asked: Asked, verify: Callable[[], Actor], *, refresh_token: str | None = None
) -> Response:
    """Issue a token for as much of what is asked for as the proven actor may do."""
    service = _service_for(call, asked)

    def read(subject: str) -> tuple[Mapping[str, TargetLookup], Mapping[str, TargetLookup]]:
        targets = {name: find_target(name, subject) for name in asked.names}
        missing = [name for name, target in targets.items() if target.repository_id is None]
        return targets, {name: find_redirected_target(name, subject) for name in missing}

    session, (plain, redirects) = services.open_session(verify, read=read)
    targets = settle(session.actor, asked.requested, plain, redirects)
    if refresh_token is None and asked.wants_refresh_token:
        client = first_of(asked.fields, "client_id")
        refresh_token = services.issue_refresh_token(session, client=client)

    def held(name: str, permissions: Iterable[str]) -> frozenset[str]:
        return allowed_among(session.actor, permissions, targets[name].target(name))

    standing = Standing(session, targets, held)
    return _token_answer(_issue(service, asked, standing, refresh_token=refresh_token))


async def _answer_anonymous(call: Call, asked: Asked) -> Response:
    """Issue a token for what is public; nothing of it outlasts the next look at the project."""
    service = _service_for(call, asked)
    signer = _recent_signer() or await _fresh_signer()
    if signer is None:
        signer = await in_thread(Work.LOOKUP, KEY_RING.signer)
    inquiry = inquiry_about_anybody(asked.names)
    token = await _issue_once_a_second(call.origin, service, asked, signer, None, lambda: inquiry)
    return Answer(token.body, 200, token.headers)


async def _issue_once_a_second(
    origin: Origin,
    service: str,
    asked: Asked,
    signer: Signer,
    presented: str | None,
    inquire: Callable[[], Inquiry],
) -> RecentToken:
    """Return a new token, or the one of the present second.

    ``presented`` is None for everybody. Raises Undecided and InvalidCredentials.
    """
    lifetime = system_settings.token_lifetime_seconds(may_read=False)
    proof = None if presented is None else fingerprint(presented)
    question = (service, signer.key_id, lifetime, proof, asked.requested)
    recent = _RECENT.get(question)
    if recent is not None and await recent.look_up(origin) == recent.answers:
        return recent
    # Looked up anew: the credentials may be understood otherwise than in the last look-up.
    inquiry = inquire()
    answers = await inquiry.look_up(origin)
    recent = _RECENT.get(question)
    if recent is not None and answers == recent.answers:
        # Of those who waited for these answers, the first has made the token.
        return recent
    recognised = inquiry.conclude(answers, origin)
    body = _issue(service, asked, recognised.standing, signer=signer)
    token = RecentToken(
        inquiry.look_up,
        answers,
        recognised.actor,
        recognised.standing.without_repository(),
        body,
        _headers(body),
    )
    _RECENT.put(question, token)
    return token


def _recent_signer() -> Signer | None:
    """Return what signs, when it and the settings are known without I/O."""
    return KEY_RING.recent_signer() if system_settings.is_recent() else None


async def _fresh_signer() -> Signer | None:
    """Return what signs, once it and the settings have been read; None when it cannot be told.

    They are read again every few seconds, once for all requests that come to wait for it.
    """
    return await _SIGNERS.ask(None)


async def _read_signers(questions: Sequence[None]) -> Sequence[Signer | None]:
    return [await in_thread(Work.LOOKUP, _read_signer)] * len(questions)


def _read_signer() -> Signer | None:
    system_settings.current()
    try:
        return KEY_RING.signer()
    except SigningKeyUnreadable:
        # Whoever has proven its credentials is told.
        return None


_SIGNERS: Final[Batches[None, Signer | None]] = Batches(_read_signers)


def _issue(
    service: str,
    asked: Asked,
    standing: Standing,
    *,
    refresh_token: str | None = None,
    signer: Signer | None = None,
) -> bytes:
    """Return the body of the answer."""
    access = grant_access(standing, asked.requested)
    issued = registry_tokens.issue(
        standing.session,
        access,
        projects=stamps_of(standing.targets),
        service=service,
        signer=signer,
    )
    issued_at = issued.issued_at.replace(microsecond=0)
    members: dict[str, object] = {
        "token": issued.token,
        "access_token": issued.token,
        "token_type": "Bearer",
        "scope": granted_scope(access),
        "expires_in": issued.expires_in_seconds,
        "issued_at": issued_at.isoformat().replace("+00:00", "Z"),
    }
    if refresh_token is not None:
        members["refresh_token"] = refresh_token
    return json.dumps(members, separators=(",", ":")).encode()


_RECENT: Final = RecentTokens()


def _token_answer(body: bytes) -> Answer:
    return Answer(body, 200, _headers(body))


def _headers(body: bytes) -> Headers:
    return (*_TOKEN_HEADERS, (b"content-length", str(len(body)).encode()))


def _service_for(call: Call, asked: Asked) -> str:
    """Return the service that tokens are for.

    Raises RegistryError when the client asks for another, where it is configured which one
    this is.
    """
    wanted, service = asked.service, call.external.service
    if not wanted or wanted == service or not settings.ROADSTEAD.server.external_url:
        return service
    if wanted != call.headers.get("host", ""):
        raise RegistryError("UNSUPPORTED", "The service is not this registry.", status=400)
    return service


def _unauthorized(message: str) -> RegistryError:
    headers = {"WWW-Authenticate": 'Basic realm="roadstead", charset="UTF-8"'}
    return RegistryError("UNAUTHORIZED", message, headers=headers)
