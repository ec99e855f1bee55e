"""What can be refused about roles and memberships."""

from core.common.errors import DomainError, ErrorKind


class RoleNameInvalid(DomainError):
    """The name does not follow the rules for role names."""

    code = "ROLE_NAME_INVALID"
    kind = ErrorKind.INVALID
    default_message = (
        "A role name has 1 to 64 characters: a letter, then letters, digits, '.', '_' or '-'."
    )


class RoleNameTaken(DomainError):
    """Another role has the name, in upper or lower case."""

    code = "ROLE_NAME_TAKEN"
    kind = ErrorKind.CONFLICT
    default_message = "A role of this name exists already."


class RolePermissionUnknown(DomainError):
    """A role lists a permission that projects do not have; ``detail`` names them."""

    code = "ROLE_PERMISSION_UNKNOWN"
    kind = ErrorKind.INVALID
    default_message = "The role lists permissions that do not exist in projects."


class RoleUnknown(DomainError):
    """There is no such role."""

    code = "ROLE_UNKNOWN"
    kind = ErrorKind.NOT_FOUND
    default_message = "There is no such role."


class RoleBuiltIn(DomainError):
    """The five built-in roles are fixed."""

    code = "ROLE_BUILT_IN"
    kind = ErrorKind.DENIED
    default_message = "Built-in roles can be neither changed nor deleted."


class RoleInUse(DomainError):
    """Somebody holds the role, so it cannot be deleted."""

    code = "ROLE_IN_USE"
    kind = ErrorKind.CONFLICT
    default_message = "The role is held by members; give them another role first."


class RoleTooWide(DomainError):
    """The role holds more than the actor, who therefore can neither give nor take it."""

    code = "ROLE_TOO_WIDE"
    kind = ErrorKind.DENIED
    default_message = "The role holds permissions that you do not hold in this project."


class MemberExists(DomainError):
    """The user or group has a role in the project already."""

    code = "MEMBER_EXISTS"
    kind = ErrorKind.CONFLICT
    default_message = "The user or group is already a member of the project."


class MemberUnknown(DomainError):
    """There is no such membership in the project."""

    code = "MEMBER_UNKNOWN"
    kind = ErrorKind.NOT_FOUND
    default_message = "There is no such member in the project."


class SubjectUnknown(DomainError):
    """The user or group that should get or lose something has been deleted."""

    code = "SUBJECT_UNKNOWN"
    kind = ErrorKind.NOT_FOUND
    default_message = "There is no such user or group."
