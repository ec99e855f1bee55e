"""Words for people."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with what is counted: ``1 blob``, ``2,000 blobs``.

    ``many`` is the plural where an s at the end does not make it.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
