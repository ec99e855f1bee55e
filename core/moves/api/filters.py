"""How redirects are filtered and ordered."""

from core.api.listing import Column, ColumnKind, Listing

REDIRECT_LISTING = Listing(
    columns={
        "name": Column("name"),
        "creation_time": Column("created_at", ColumnKind.TIME),
    },
    default_order=("name",),
)
