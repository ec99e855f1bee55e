"""What belongs to an artifact alone, and so goes with it.

That is what an index lists and nothing else needs, and accessories: manifests that have it for
their subject, or that a tag with its digest names, as cosign keeps signatures. Of all these again
the same. It is found step by step: what goes with one may have been needed by another until then.
"""

from typing import Final, NamedTuple

from core.artifacts.errors import TooManyBelongings
from core.database import raw
from core.oci.digest import Digest
from core.oci.referrers import companion_tags

MAXIMUM_MANIFESTS: Final = 50_000
"""How many manifests go along with an artifact."""

MAXIMUM_STEPS: Final = 100
"""How long a chain may be in which one belongs to the next."""

# What is next to the newest of those that go, unless something else needs it: an index that stays,
# or a tag of its own. An accessory has tags to be found by, so these do not keep it, unless it is
# a child as well. Each row is looked up by itself, as the statements of pushes do it; the order of
# an index keeps the planner from looking through all references for the first that there is.
_NEXT = """
WITH near AS MATERIALIZED (
     SELECT child_id AS id FROM artifacts_manifestreference
      WHERE parent_id = ANY(%(new_ids)s::bigint[]) AND child_id IS NOT NULL
      UNION
     SELECT m.id
       FROM unnest(%(new_digests)s::bytea[]) AS about(digest)
      CROSS JOIN LATERAL
            (SELECT id FROM artifacts_manifest
              WHERE repository_id = %(repository)s AND subject = about.digest OFFSET 0) m
      UNION
     SELECT t.manifest_id
       FROM unnest(%(new_names)s::text[]) AS companion(name)
      CROSS JOIN LATERAL
            (SELECT manifest_id FROM artifacts_tag
              WHERE repository_id = %(repository)s AND name = companion.name
                AND ended_at IS NULL LIMIT 1) t)
SELECT m.id, m.digest, m.is_child
  FROM near
 CROSS JOIN LATERAL
       (SELECT id, digest, subject, is_child FROM artifacts_manifest
         WHERE id = near.id LIMIT 1) m
 WHERE m.id <> ALL(%(ids)s::bigint[])
   AND (SELECT parent_id FROM artifacts_manifestreference
         WHERE child_id BETWEEN m.id AND m.id AND parent_id <> ALL(%(ids)s::bigint[])
         ORDER BY child_id LIMIT 1) IS NULL
   AND (NOT m.is_child AND m.subject = ANY(%(digests)s::bytea[])
        OR (SELECT id FROM artifacts_tag
             WHERE repository_id = %(repository)s AND manifest_id = m.id AND ended_at IS NULL
               AND name <> ALL(%(names)s::text[]) LIMIT 1) IS NULL)
 ORDER BY m.id LIMIT %(limit)s
"""


class Belonging(NamedTuple):
    """A manifest that belongs to another one: a child of an index, or else an accessory."""

    id: int
    digest: Digest
    is_child: bool


class Belongings(NamedTuple):
    """The manifests that go along, and the tags that end because they hold a digest of those.

    Such a tag may name a manifest that stays, for another tag names it, too.
    """

    manifests: tuple[Belonging, ...] = ()
    companion_tags: tuple[str, ...] = ()


def find_belongings_alone(repository_id: int, manifest_id: int, digest: Digest) -> Belongings:
    """Return what belongs to a manifest, and to nothing else.

    The caller holds off every other write into the repository. Raises TooManyBelongings.
    """
    found = [Belonging(manifest_id, digest, is_child=False)]
    names = list(companion_tags(digest))
    new, new_names = found[:], names[:]
    for _step in range(MAXIMUM_STEPS + 1):
        rows = raw.fetch_all(
            _NEXT,
            {
                "repository": repository_id,
                "ids": [each.id for each in found],
                "digests": [each.digest.to_bytes() for each in found],
                "names": names,
                "new_ids": [each.id for each in new],
                "new_digests": [each.digest.to_bytes() for each in new],
                "new_names": new_names,
                "limit": MAXIMUM_MANIFESTS + 1,
            },
        )
        if not rows:
            return Belongings(tuple(found[1:]), tuple(names))
        new = [Belonging(int(row[0]), Digest.from_bytes(bytes(row[1])), row[2]) for row in rows]
        new_names = [name for each in new for name in companion_tags(each.digest)]
        found += new
        names += new_names
        if len(found) > MAXIMUM_MANIFESTS + 1:
            break
    raise TooManyBelongings
