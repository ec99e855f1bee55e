"""How people and groups are filtered and ordered."""

from core.api.filtering import ParameterFilter, containing, exact
from core.api.listing import Column, ColumnKind, Listing

USER_LISTING = Listing(
    columns={
        "user_id": Column("id", ColumnKind.INTEGER),
        "username": Column("username"),
        "email": Column("email"),
        "realname": Column("real_name"),
        "sysadmin_flag": Column("is_superuser", ColumnKind.BOOLEAN),
        "creation_time": Column("created_at", ColumnKind.TIME),
        "update_time": Column("updated_at", ColumnKind.TIME),
    },
    default_order=("username",),
)
GROUP_LISTING = Listing(
    columns={
        "id": Column("id", ColumnKind.INTEGER),
        "group_name": Column("name"),
        "group_type": Column("group_type", ColumnKind.INTEGER),
    },
    default_order=("name",),
)


class GroupFilter(ParameterFilter):
    """Query parameters of the list of groups; ``groupname`` is what the search calls it."""

    group_name = containing("name")
    groupname = containing("name")
    ldap_group_dn = exact("directory_name")
