"""Answers for load balancers and supervisors: is the process alive, can it serve.

Redis is not asked: without it pulls and pushes still work.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.db import DatabaseError, connection

_CHECK_SECONDS = 5.0
_pool: ThreadPoolExecutor | None = None


async def faults() -> list[str]:
    """Return what keeps this process from serving; empty when it is ready."""
    global _pool  # made on first use: threads do not survive the fork of a preloading server
    if _pool is None:
        _pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="health")
    loop = asyncio.get_running_loop()
    try:
        return await asyncio.wait_for(loop.run_in_executor(_pool, _look), _CHECK_SECONDS)
    except TimeoutError:
        return ["the database does not answer in time"]


def _look() -> list[str]:
    found: list[str] = []
    try:
        connection.close_if_unusable_or_obsolete()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        connection.close()
        found.append("the database does not answer")
    if settings.ROADSTEAD.storage.bucket is not None:
        # Manifests are served without the bucket, and all processes would lose it together.
        return found
    directory = settings.ROADSTEAD.storage.directory
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        found.append("the storage directory cannot be written")
    return found
