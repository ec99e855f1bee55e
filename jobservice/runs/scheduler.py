"""The loop of ``roadstead scheduler``: fires schedules and sweeps runs.

Any number of these loops may run at once; every step is a claim in PostgreSQL.
"""

import threading
from itertools import chain

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils.module_loading import import_string

from core.common.clock import now as clock_now
from core.rbac.types import Actor
from jobservice.runs import services
from jobservice.runs.types import DeclaredSchedule

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0
SWEEP_EVERY_TICKS = 5


def declared_schedules() -> tuple[DeclaredSchedule, ...]:
    """Return the schedules of every tuple that ``RUN_SCHEDULES`` names."""
    return tuple(chain.from_iterable(import_string(path) for path in settings.RUN_SCHEDULES))


def run_until(stop: threading.Event) -> None:
    """Tick once a second until ``stop`` is set. A database that is away is waited for."""
    declared = False
    ticks = 0
    while not stop.wait(TICK_SECONDS):
        try:
            if not declared:
                services.declare_schedules(declared_schedules(), now=clock_now())
                declared = True
            services.fire_due_schedules(actor=Actor.system(), now=clock_now())
            if ticks % SWEEP_EVERY_TICKS == 0:
                services.sweep()
            ticks += 1
        except DatabaseError:
            log.exception("scheduler_tick_failed")
            connection.close()
    connection.close()
