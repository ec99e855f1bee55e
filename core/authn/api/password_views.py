"""Passwords."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.errors import BadRequest
from core.api.permissions import Access, Deferred
from core.authn.errors import InvalidCredentials
from core.authn.services import verify_own_password
from core.rbac.errors import PermissionDenied
from core.users.api.serializers import PasswordSerializer
from core.users.api.views import SubjectView
from core.users.rules import ensure_may_set_password
from core.users.services import set_password


class PasswordView(SubjectView):
    """A person's password."""

    access: ClassVar[dict[str, Access]] = {
        "PUT": Deferred("user:update", "people may change their own password")
    }

    @operation("Change a user's password", tag="users", body=PasswordSerializer)
    def put(self, request: Request, user_id: int) -> Response:
        """Replace the password; one's own needs the old one.

        That of others is for system administrators. Tokens and robots cannot do it.
        """
        user = self.find_user("user:update")
        # A leaked token must not become an account, nor be used to try passwords.
        ensure_may_set_password(self.actor, user_id=user.pk)
        wanted = self.parse(PasswordSerializer)
        if self.is_own:
            self._ensure_known(wanted.get("old_password", ""), wanted["new_password"])
        set_password(user, wanted["new_password"], actor=self.actor)
        return self.done()

    def _ensure_known(self, old: str, new: str) -> None:
        """Refuse to replace a password that the caller does not know."""
        try:
            verify_own_password(old, actor=self.actor)
        except InvalidCredentials as error:
            # Who calls is known: nobody need log in again.
            raise PermissionDenied("The old password is not correct.") from error
        if old == new:
            raise BadRequest("The new password must differ from the old one.")
