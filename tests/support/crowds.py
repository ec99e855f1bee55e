"""Many threads that do the same at the same moment, each with a database connection of its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connection

from core.common.errors import DomainError


def at_once(count: int, work: Callable[[int], object]) -> list[object]:
    """Run the work in so many threads at the same moment; refusals come back as results."""
    barrier = Barrier(count)

    def run(number: int) -> object:
        barrier.wait()
        try:
            return work(number)
        except DomainError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
