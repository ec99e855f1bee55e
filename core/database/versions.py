"""Telling that rows are still as they were, which costs less than reading them again.

PostgreSQL notes with each version of a row which transaction wrote it (the system column
``xmin``). A row with the same key and the same ``xmin`` is the same version, for a short time: the
number of a transaction comes again after some four billion others, or after a failover that has
lost it.
"""

from typing import Any, NamedTuple

Versions = tuple[Any, ...]
"""Versions of rows, with what else there is to compare, as a look-up reads them."""


class Basis(NamedTuple):
    """The rows that an answer rests on: the question for their versions, and its answer then.

    While the answer to ``question`` is ``versions``, the answer that rests on them is right.
    """

    question: tuple[Any, ...]
    versions: Versions
