"""How rules are filtered and ordered."""

from core.api.listing import Column, ColumnKind, Listing

TAG_RULE_LISTING = Listing(
    columns={
        "id": Column("id", ColumnKind.INTEGER),
        "disabled": Column("is_disabled", ColumnKind.BOOLEAN),
    },
    default_order=("id",),
)
