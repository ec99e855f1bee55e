"""The Celery application. A message carries only a run's id; everything else is in the row.

Whoever imports this has called ``django.setup()`` before, as ``roadstead worker`` does.
"""

import re
from typing import Final

from celery import Celery
from django.conf import settings

TASK_NAME: Final = "roadstead.run"
QUEUE: Final = "roadstead"


def broker_url(redis_url: str) -> str:
    """Return the address as the broker library spells it: sockets have a scheme of their own."""
    return re.sub(r"^unix://", "redis+socket://", redis_url)


app = Celery("roadstead")
app.conf.update(
    broker_url=broker_url(settings.ROADSTEAD.broker.url),
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        # Runs are fenced and swept in PostgreSQL; Redis must not redeliver on its own clock.
        "visibility_timeout": 86_400,
    },
    include=list(settings.RUN_TASKS),
    task_acks_late=True,
    task_default_queue=QUEUE,
    task_ignore_result=True,
    task_reject_on_worker_lost=True,
    task_serializer="json",
    accept_content=["json"],
    timezone="UTC",
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    worker_prefetch_multiplier=1,
    worker_redirect_stdouts=False,
    worker_send_task_events=False,
)


def send(run_id: str) -> None:
    """Hand a run's id to the broker.

    Raises ``kombu.exceptions.OperationalError`` when the broker does not answer; the run
    stays pending and the sweeper sends it again.
    """
    app.send_task(TASK_NAME, kwargs={"run_id": run_id}, retry=False)
