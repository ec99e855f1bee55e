"""How personal access tokens and sessions are filtered and ordered."""

from core.api.listing import Column, ColumnKind, Listing

TOKEN_LISTING = Listing(
    columns={
        "id": Column("id", ColumnKind.INTEGER),
        "name": Column("name"),
        "creation_time": Column("created_at", ColumnKind.TIME),
        "expires_at": Column("expires_at", ColumnKind.TIME),
        "last_used_at": Column("last_used_at", ColumnKind.TIME),
    },
    default_order=("-created_at",),
)
SESSION_LISTING = Listing(
    columns={
        "id": Column("id", ColumnKind.INTEGER),
        "address": Column("address", ColumnKind.ADDRESS),
        "user_agent": Column("user_agent"),
        "creation_time": Column("created_at", ColumnKind.TIME),
        "last_seen_at": Column("last_seen_at", ColumnKind.TIME),
    },
    default_order=("-created_at",),
)
