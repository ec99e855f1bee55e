"""Work of threads, each with a database connection of its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connection

from core.common.errors import DomainError


def apart(work: Callable[[], object]) -> object:
    """Do the work on a connection of its own; a refusal comes back as result."""
    try:
        return work()
    except DomainError as error:
        return error
    finally:
        connection.close()


def at_once(count: int, work: Callable[[int], object]) -> list[object]:
    """Run the work in so many threads at the same moment; refusals come back as results."""
    barrier = Barrier(count)

    def run(number: int) -> object:
        barrier.wait()
        return apart(lambda: work(number))

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
