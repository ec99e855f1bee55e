"""How the trash is filtered and ordered."""

from core.api.listing import Column, ColumnKind, Listing

TRASH_LISTING = Listing(
    columns={
        "id": Column("id", ColumnKind.INTEGER),
        "kind": Column("kind"),
        "repository": Column("path"),
        "tag": Column("tag"),
        "size": Column("total_bytes", ColumnKind.INTEGER),
        "deletion_time": Column("deleted_at", ColumnKind.TIME),
        "deleted_by": Column("deleted_by"),
        "kept_until": Column("kept_until", ColumnKind.TIME),
    },
    default_order=("-deleted_at", "-id"),
)
