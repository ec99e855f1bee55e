"""The projects that personal access tokens are limited to.

A limit is kept by name and means the project that had the name when the token was made: it
follows a new name, and leaves with the project.
"""

from collections.abc import Collection
from typing import Final

from core.audit import services as audit
from core.authn.errors import PersonalTokenInvalid
from core.authn.models import PersonalToken
from core.common.clock import now as current_time
from core.database import raw
from core.rbac.types import Actor
from core.users.models import User
from core.users.revocations import revoke_registry_tokens_locked
from core.users.types import subject_of

# Tables of features above, by name, as in the look-ups of the grant source: this feature has to
# know who may know of a project, and nothing else of them.
_HOLD_KNOWN: Final = """
SELECT project.name FROM projects_project project
 WHERE project.name = ANY(%(names)s)
   AND (%(is_admin)s OR project.is_public OR project.id IN (
        SELECT project_id FROM members_membership WHERE user_id = %(user)s
        UNION ALL
        SELECT membership.project_id
          FROM users_user_groups joined
          JOIN members_membership membership ON membership.group_id = joined.group_id
         WHERE joined.user_id = %(user)s
        UNION ALL
        SELECT repository.project_id
          FROM grants_repositoryusergrant held
          JOIN artifacts_repository repository ON repository.id = held.content_object_id
         WHERE held.user_id = %(user)s
        UNION ALL
        SELECT repository.project_id
          FROM users_user_groups joined
          JOIN grants_repositorygroupgrant held ON held.group_id = joined.group_id
          JOIN artifacts_repository repository ON repository.id = held.content_object_id
         WHERE joined.user_id = %(user)s))
 ORDER BY project.id FOR KEY SHARE OF project
"""

_RENAME_PROJECT: Final = """
UPDATE authn_personaltoken
   SET project_names = (SELECT jsonb_agg(DISTINCT CASE WHEN listed.project = %s THEN %s
                                                         ELSE listed.project END)
                          FROM jsonb_array_elements_text(project_names) AS listed(project))
 WHERE project_names @> to_jsonb(%s::text)
"""


def hold_projects_locked(user: User, names: Collection[str]) -> None:
    """Keep the named projects from being deleted or renamed before the caller's commit.

    Raises ``PersonalTokenInvalid`` for one that does not exist, and alike for one that the user
    may not know of: a private project without a role in it or a grant on one of its repositories.
    """
    if not names:
        return
    asked = {"names": sorted(names), "user": user.pk, "is_admin": user.is_superuser}
    known = {name for (name,) in raw.fetch_all(_HOLD_KNOWN, asked)}
    for name in sorted(set(names) - known):
        raise PersonalTokenInvalid(
            f"projects: there is no project {name}.", detail={"project": name}
        )


def rename_project_in_tokens_locked(old: str, new: str) -> int:
    """Let personal access tokens limited to a project follow its new name; return how many.

    A later project of the old name is none that they were limited to.
    """
    return raw.execute(_RENAME_PROJECT, (old, new, old))


def forget_project_in_tokens_locked(name: str, *, actor: Actor) -> int:
    """Take a project that the caller has deleted out of personal access tokens; return how many.

    One that was limited to nothing else ends: without any name it would work everywhere.
    """
    tokens = list(
        PersonalToken.objects.select_for_update()
        .filter(project_names__contains=[name], revoked_at=None)
        .order_by("pk")
    )
    ended = [token for token in tokens if set(token.project_names) == {name}]
    for token in tokens:
        token.project_names = [kept for kept in token.project_names if kept != name] or [name]
    for token in ended:
        token.revoked_at = current_time()
        audit.record(
            "authn.personal_token.revoked",
            actor,
            target_kind="personal_token",
            target_id=token.pk,
            target_label=token.name,
            detail={"scopes": token.scopes, "project_names": token.project_names},
        )
    PersonalToken.objects.bulk_update(tokens, ["project_names", "revoked_at"], batch_size=1000)
    revoke_registry_tokens_locked(*(subject_of(token.user_id) for token in ended))
    return len(tokens)
