"""How large the parts of an upload to a bucket are: pure arithmetic.

Services limit the number of parts; S3, for which the sizes given here are, takes at most 10,000
and, except for the last, none below 5 MiB. Small parts cost little memory, so parts grow only
as the upload does. A request that ends in the middle of a part may make it a part all the same
while there are few of them: most uploads come in one or two requests, and a part is cheaper
than a tail that must be read back.
"""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class PartSchedule:
    """Sizes in bytes, by the number of the part, counted from 1."""

    steps: tuple[tuple[int, int], ...] = ((16 * MIB, 1_000), (64 * MIB, 4_000), (256 * MIB, 5_000))
    """(size, how many parts of it), in order."""
    minimum_bytes: int = 5 * MIB
    """No part but the last may be smaller."""
    early_parts: int = 100
    """So many parts may be smaller than their step says, down to the minimum."""

    def __post_init__(self) -> None:
        if any(size < self.minimum_bytes for size, _ in self.steps):
            raise ValueError("A step is below the minimum.")

    @property
    def maximum_parts(self) -> int:
        """How many parts there can be."""
        return sum(count for _, count in self.steps)

    @property
    def capacity_bytes(self) -> int:
        """Size of the largest upload when no part is smaller than its step says."""
        return sum(size * count for size, count in self.steps)

    @property
    def guaranteed_bytes(self) -> int:
        """Size that any upload can reach, however many early parts are as small as can be."""
        return self.capacity_bytes - sum(
            self.size_of(number) - self.minimum_bytes for number in range(1, self.early_parts + 1)
        )

    def size_of(self, number: int) -> int:
        """Return the size of a part. Raises ValueError for a number beyond the last."""
        first = 1
        for size, count in self.steps:
            if first <= number < first + count:
                return size
            first += count
        raise ValueError(f"There is no part {number}.")

    def is_early(self, number: int) -> bool:
        """Say whether this part may be smaller than its step says."""
        return number <= self.early_parts
