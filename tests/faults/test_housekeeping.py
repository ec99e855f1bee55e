"""Housekeeping again and again, without any grace, while people push, mount and delete."""

import threading
from collections import Counter

import pytest

from tests.clients.protocol import Account, Registry
from tests.faults.invariants import Store
from tests.faults.patience import Patience
from tests.faults.soak_clients import SoakClient
from tests.faults.sweeper import Sweeper
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.slow]

CLIENTS = 4
ACTS = 40
SWEEPS = 8


def test_nothing_that_is_needed_is_removed(
    server: RunningServer, store: Store, sweeper: Sweeper, account: Account, repository: str
) -> None:
    """Uploads that are given up, second copies and strays go at once; what was promised stays."""
    project, registry = repository.partition("/")[0], Registry(server.registry, account)
    clients = [
        SoakClient(number, project, registry, Patience(60), seed=7) for number in range(CLIENTS)
    ]
    failures: list[BaseException] = []

    def act(client: SoakClient) -> None:
        try:
            for _act in range(ACTS):
                client.act()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=act, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    removed, sweeps = Counter[str](), 0
    while sweeps < SWEEPS or any(thread.is_alive() for thread in threads):
        removed.update(sweeper.sweep_beside_pushes(abandoned_seconds=1))
        sweeps += 1
    for thread in threads:
        thread.join()

    assert failures == []
    assert removed["uploads"] > 0
    assert sum(client.verify_all() for client in clients) > 0
