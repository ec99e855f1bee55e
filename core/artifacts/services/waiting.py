"""References that wait for content: an index may be pushed before its children.

A waiting reference must be bound to its content by whoever comes second. Two pushes that run
side by side do not see each other, so both would take themselves for the first. Therefore a
push that leaves a reference waiting runs alone in its repository: what was committed before is
seen by it, and what comes after sees its references. A push that finds references waiting for
its manifest runs alone too, because it changes the sizes of indexes up to the outermost, whose
rows other pushes may hold.

That pushes have to run alone is found out on the way; they are undone and begin again. It is
rare, and pushes of complete content pay nothing for it.
"""

from collections import Counter

from core.artifacts.rules import MAXIMUM_TOTAL_BYTES
from core.database import raw
from core.oci.digest import Digest

_BIND = """
UPDATE artifacts_manifestreference AS waiting SET child_id = %s
  FROM artifacts_manifest AS parent
 WHERE parent.id = waiting.parent_id AND parent.repository_id = %s
   AND waiting.digest = %s AND waiting.size_bytes = %s AND waiting.role = 'child'
   AND waiting.blob_id IS NULL AND waiting.child_id IS NULL
RETURNING waiting.parent_id
"""

_GROW = """
UPDATE artifacts_manifest AS manifest
   SET total_bytes = least(manifest.total_bytes::numeric + growth.bytes, %s)
  FROM unnest(%s::bigint[], %s::numeric[]) AS growth(id, bytes)
 WHERE manifest.id = growth.id
"""

_PARENTS = """
SELECT DISTINCT parent_id, child_id
  FROM artifacts_manifestreference WHERE child_id = ANY(%s::bigint[])
"""


class MustRunAlone(Exception):
    """The push must be done again with its repository reserved."""


def require_alone(alone: bool) -> None:
    """Raise MustRunAlone unless the push runs alone in its repository."""
    if not alone:
        raise MustRunAlone


def bind_child_alone(
    repository_id: int, manifest_id: int, digest: Digest, size_bytes: int, total_bytes: int
) -> None:
    """Bind a manifest to the indexes that wait for it, which grow by what it names.

    They counted it with its own size so far.
    """
    bound = raw.fetch_all(_BIND, (manifest_id, repository_id, digest.to_bytes(), size_bytes))
    growth = {int(parent): total_bytes - size_bytes for (parent,) in bound}
    # Level by level: the paths through a lattice of indexes can be far more than its indexes.
    while growth:
        sizes = [min(size, MAXIMUM_TOTAL_BYTES) for size in growth.values()]
        raw.execute(_GROW, (MAXIMUM_TOTAL_BYTES, list(growth), sizes))
        above: Counter[int] = Counter()
        for parent, child in raw.fetch_all(_PARENTS, (list(growth),)):
            above[parent] += growth[child]
        growth = above
