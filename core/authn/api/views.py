"""The caller's personal access tokens."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.errors import PreconditionFailed
from core.api.permissions import Access, SignedIn
from core.api.views import ManagementView
from core.authn import queries, services
from core.authn.api.filters import TOKEN_LISTING
from core.authn.api.serializers import (
    NewPersonalTokenSerializer,
    PersonalTokenRequestSerializer,
    PersonalTokenSerializer,
)
from core.rbac.types import ActorKind
from core.users.models import User
from core.users.queries import get_user

_OWN = "everyone manages their own tokens and nobody else's"


class OwnView(ManagementView):
    """A resource of the user who calls."""

    @property
    def user(self) -> User:
        """The caller. Raises ``PreconditionFailed`` for robots, which have no account."""
        if self.actor.kind is not ActorKind.USER or self.actor.id is None:
            raise PreconditionFailed("The caller is not a user.")
        return get_user(self.actor.id)


class PersonalTokensView(OwnView):
    """All tokens of the caller that are not revoked."""

    exact = frozenset({"POST"})

    access: ClassVar[dict[str, Access]] = {
        "GET": SignedIn("user:read", _OWN),
        "POST": SignedIn("user:update", _OWN),
    }

    @operation(
        "List personal access tokens",
        tag="tokens",
        answer=PersonalTokenSerializer,
        is_list=True,
        has_query=True,
        errors=(412,),
    )
    def get(self, request: Request) -> Response:
        """Return the newest token first; secrets are never shown again."""
        tokens = queries.list_personal_tokens(self.user)
        return self.page(tokens, PersonalTokenSerializer, TOKEN_LISTING)

    @operation(
        "Create a personal access token",
        tag="tokens",
        body=PersonalTokenRequestSerializer,
        answer=NewPersonalTokenSerializer,
        status=201,
        errors=(409, 412),
    )
    def post(self, request: Request) -> Response:
        """Create a token; the answer is the only one that shows its secret."""
        wanted = self.parse(PersonalTokenRequestSerializer)
        created = services.create_personal_token(
            self.user,
            name=wanted["name"],
            scopes=wanted["scopes"],
            project_names=wanted.get("projects", ()),
            description=wanted.get("description", ""),
            expires_at=wanted.get("expires_at"),
            actor=self.actor,
        )
        body = NewPersonalTokenSerializer(created.token, context={"secret": created.secret})
        return self.created(created.token.pk, body.data)


class PersonalTokenView(OwnView):
    """One token of the caller."""

    access: ClassVar[dict[str, Access]] = {
        "GET": SignedIn("user:read", _OWN),
        "DELETE": SignedIn("user:update", _OWN),
    }
    moved_by_use = frozenset({"last_used_at", "last_used_address"})

    @operation(
        "Get a personal access token",
        tag="tokens",
        answer=PersonalTokenSerializer,
        errors=(412,),
    )
    def get(self, request: Request, token_id: int) -> Response:
        """Return the token without its secret."""
        token = queries.get_personal_token(self.user, token_id)
        return Response(PersonalTokenSerializer(token).data)

    @operation("Revoke a personal access token", tag="tokens", errors=(412,))
    def delete(self, request: Request, token_id: int) -> Response:
        """End the token at once."""
        token = queries.get_personal_token(self.user, token_id)
        services.revoke_personal_token(token, actor=self.actor)
        return self.done()
