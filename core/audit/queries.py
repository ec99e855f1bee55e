"""Finding audit entries by a part of what they are about."""

from typing import Final

from core.database import raw

MAXIMUM_FOUND: Final = 10_000
"""How many entries are found here; where more have the text, any way to find them will do."""

_FIND: Final = """
SELECT e.id
  FROM (SELECT DISTINCT number FROM audit_auditstretch
         WHERE strpos(resources, upper(%(text)s)) > 0) AS stretch,
       LATERAL (SELECT id FROM audit_auditentry
                 WHERE id BETWEEN stretch.number * 32 AND stretch.number * 32 + 31
                   AND strpos(upper(target_label), upper(%(text)s)) > 0) AS e
 LIMIT %(limit)s
"""


def find_by_resource(text: str) -> list[int] | None:
    """Return the ids of all entries whose resource contains the text, in any case.

    None where there are more than ``MAXIMUM_FOUND``. Looks through what entries are about, which
    is packed, and reads the entries of stretches that have the text.
    """
    rows = raw.fetch_all(_FIND, {"text": text, "limit": MAXIMUM_FOUND + 1})
    return None if len(rows) > MAXIMUM_FOUND else [entry for (entry,) in rows]
