"""Threads for everything that blocks: look-ups, bytes, commits and slow hashing, each their own.

Kept apart, so that neither slow disks nor a storm of logins nor writers who wait for each
other's rows hold up the look-ups that every pull needs. The threads live as long as the process
and keep their database connections.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import cache, partial
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from core.database.raw import drop_lost_connection

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Work(StrEnum):
    """What a pool of threads is for."""

    LOOKUP = "lookup"
    """Short database statements that wait for nobody."""
    TRANSFER = "transfer"
    """Reading, hashing and writing content."""
    COMMIT = "commit"
    """Making content durable, and all that takes locks of rows and so may wait for others."""
    LOGIN = "login"
    """Checking secrets, which may take long on purpose."""


@cache
def executor(work: Work) -> ThreadPoolExecutor:
    """Return the threads of this process for a kind of work, made at the first call."""
    threads = settings.ROADSTEAD.server.registry_threads
    if work is Work.LOGIN:
        threads = max(2, threads // 4)
    return ThreadPoolExecutor(max_workers=threads, thread_name_prefix=f"registry-{work}")


def close_threads() -> None:
    """Let the threads end once nothing waits for them."""
    for work in Work:
        executor(work).shutdown(wait=False, cancel_futures=True)
    executor.cache_clear()


# Threads do not survive a fork; a child makes its own.
os.register_at_fork(after_in_child=executor.cache_clear)


async def in_thread(
    work: Work,
    function: Callable[Parameters, Result],
    *args: Parameters.args,
    **kwargs: Parameters.kwargs,
) -> Result:
    """Run a blocking function in a thread for that kind of work and return its result."""
    return await start(work, function, *args, **kwargs)


def start(
    work: Work,
    function: Callable[Parameters, Result],
    *args: Parameters.args,
    **kwargs: Parameters.kwargs,
) -> "asyncio.Future[Result]":
    """Begin a blocking function in a thread and return its future."""
    call = partial(_with_fresh_connection, function, *args, **kwargs)
    return asyncio.get_running_loop().run_in_executor(executor(work), call)


def _with_fresh_connection(
    function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Result:
    """Run a function in the current thread, and drop its connection if that broke."""
    drop_lost_connection()
    try:
        return function(*args, **kwargs)
    except (OperationalError, InterfaceError):
        # No request signal of Django reaches these threads. Unless it was only a lock that
        # took too long, the next call of this thread begins with a new connection.
        connection.close_if_unusable_or_obsolete()
        raise
