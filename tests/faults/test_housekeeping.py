"""Housekeeping again and again, without any grace, while people push, mount and delete."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

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

    def act(client: SoakClient) -> None:
        for _act in range(ACTS):
            client.act()

    removed, sweeps = Counter[str](), 0
    with ThreadPoolExecutor(CLIENTS) as crowd:
        acting = [crowd.submit(act, client) for client in clients]
        while sweeps < SWEEPS or not all(each.done() for each in acting):
            removed.update(sweeper.sweep_beside_pushes(abandoned_seconds=1))
            sweeps += 1
    for each in acting:
        each.result()

    assert removed["uploads"] > 0
    assert sum(client.verify_all() for client in clients) > 0
