"""What stops a benchmark."""


class BenchmarkFailed(Exception):
    """Something answered otherwise than expected, so numbers would mean nothing."""
