"""`make soak`: everything at once, for long: `python -m tests.faults.soak --minutes 30`.

Clients push, pull, mount, move and delete; beside them processes are killed at random, the
database and Redis among them, a second web process meets failpoints, and housekeeping runs
every few seconds. Now and then all stand still, and database, storage and every answer are
compared. The same seed gives the same choices, though threads take their turns as they come.
"""

import argparse
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import psutil
import psycopg2

from tests.clients.management import Management
from tests.clients.protocol import Account, Registry
from tests.core.storage.s3_server import CREDENTIALS, FaultyProxy, S3Server
from tests.faults.contents import Bucket
from tests.faults.databases import Superuser, kill_database
from tests.faults.invariants import Store
from tests.faults.patience import Patience
from tests.faults.pulls import check_everything
from tests.faults.soak_clients import Gate, Roaming, SoakClient, is_answering
from tests.faults.storms import Storm
from tests.faults.sweeper import sweep_beside_pushes, sweep_everything
from tests.faults.webs import ArmedWeb
from tests.support.server import ADMINISTRATOR, PASSWORD, RunningServer

CLIENTS = 5
CHECK_SECONDS = 60.0
FAULT_SECONDS = (2.0, 7.0)
SWEEP_SECONDS = 5.0
PATIENCE_SECONDS = 120.0
STORM_SHARE = 0.03
# The supervisor gives up on what ends more than five times in a minute, as it should.
REST_SECONDS = {"PostgreSQL": 20.0, "Redis": 20.0, "everything": 60.0}

FAILPOINTS = (
    "storage.write=enospc@{n}",
    "storage.write=eio@{n}",
    "storage.write=kill@{n}",
    "storage.sync=eio@{n}",
    "storage.sync=edquot@{n}",
    "storage.commit.synced=eio@{n}",
    "storage.commit.renamed=eio@{n}",
    "storage.commit.renamed=kill@{n}",
    "upload.started=kill@{n}",
    "upload.checkpoint=kill@{n}",
    "upload.commit.before_transaction=kill@{n}",
    "upload.commit.in_transaction=kill@{n}",
    "upload.commit.in_transaction=sleep:1@{n}+",
    "upload.commit.after_transaction=kill@{n}",
)

_NOT_THERE = (IndexError, ProcessLookupError, StopIteration)


@dataclass
class Soak:
    """One run."""

    server: RunningServer
    store: Store
    storm: Storm | None
    seed: int
    gate: Gate = field(default_factory=Gate)
    patience: Patience = field(
        default_factory=lambda: Patience(PATIENCE_SECONDS, storage_fails=True)
    )
    faults: Counter[str] = field(default_factory=Counter)
    sweeps: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        """Prepare the clients."""
        self.account = Account(ADMINISTRATOR, PASSWORD)
        self._random = random.Random(self.seed)
        self._stop = threading.Event()
        self._addresses = [self.server.registry]
        self._last: dict[str, float] = {}
        self._armed: ArmedWeb | None = None
        project = Management(self.server.registry, self.account).create_project()
        self.clients = [
            SoakClient(number, project, self._roaming(number), self.patience, self.seed)
            for number in range(CLIENTS)
        ]

    def _roaming(self, number: int) -> Registry:
        chooser = random.Random(f"{self.seed}-address-{number}")
        return Roaming(self._addresses, self.account, chooser)

    def run(self, seconds: float) -> None:
        """Go on for so long, or until something is wrong, which is raised."""
        workers = [
            *(threading.Thread(target=self._act, args=(client,)) for client in self.clients),
            threading.Thread(target=self._guarded, args=(self._break,)),
            threading.Thread(target=self._guarded, args=(self._keep_house,)),
        ]
        for worker in workers:
            worker.start()
        end = time.monotonic() + seconds
        pause = CHECK_SECONDS
        while not self._stop.wait(max(0.0, min(pause, end - time.monotonic()))):
            if time.monotonic() >= end:
                break
            began = time.monotonic()
            self._guarded_once(self._check)
            pause = max(CHECK_SECONDS, 5 * (time.monotonic() - began))
        self._stop.set()
        for worker in workers:
            worker.join(3 * PATIENCE_SECONDS)
        if self.failure is None:
            self._guarded_once(self._check_at_last)
        self._disarm()
        if self.failure is not None:
            raise self.failure

    def _act(self, client: SoakClient) -> None:
        def act() -> None:
            with self.gate:
                client.act()

        self._guarded(lambda: act() or 0.0)

    def _keep_house(self) -> float:
        with self.gate:
            done = sweep_beside_pushes(self.server)
        self.sweeps["done" if done else "not possible"] += 1
        return SWEEP_SECONDS

    def _guarded(self, step: Callable[[], float]) -> None:
        """Repeat a step, which returns how long to rest; an error ends the whole run."""
        while not self._stop.is_set():
            rest = [0.0]
            self._guarded_once(lambda: rest.__setitem__(0, step()))  # noqa: B023  # ends within the turn
            self._stop.wait(rest[0])

    def _guarded_once(self, step: Callable[[], None]) -> None:
        try:
            step()
        except BaseException as error:
            self.failure = self.failure or error
            self._stop.set()
            self.gate.open()

    def _check(self) -> None:
        """Let all stand still, wait until the server is well, and compare everything."""
        try:
            self.gate.close(3 * PATIENCE_SECONDS)
            self._disarm()
            if self.storm is not None:
                self.storm.share = 0.0
            self._await_health()
            self.checked["answers"] += check_everything(self.server, self.store, self.account)
            self.checked["acknowledged tags"] += sum(c.verify_all() for c in self.clients)
            self.checked["times"] += 1
        finally:
            if self.storm is not None:
                self.storm.share = STORM_SHARE
            self.gate.open()

    def _check_at_last(self) -> None:
        self._check()
        if self.storm is not None:
            self.storm.share = 0.0
        sweep_everything(self.server)
        self.store.assert_nothing_leaked()
        self.checked["answers"] += check_everything(self.server, self.store, self.account)
        fsck = self.server.command("fsck", "--read-content")
        assert fsck.returncode == 0, fsck.stdout + fsck.stderr

    def _await_health(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (is_answering(self.server.registry) and self._database_answers()):
            assert time.monotonic() < deadline, "the server does not recover by itself"
            time.sleep(0.2)

    def _database_answers(self) -> bool:
        with suppress(psycopg2.Error):
            return bool(self.store.records.value("SELECT 1"))
        return False

    def _break(self) -> float:
        """Break one thing; return how long to leave the rest alone."""
        kinds: dict[str, Callable[[], object]] = {
            "web process killed": self._kill_a_web_process,
            "all web processes killed": self.server.kill_web_processes,
            "PostgreSQL killed": self._kill_database,
            "database sessions ended": Superuser(self.server).end_sessions,
            "Redis killed": lambda: self._redis().kill(),
            "Redis stood still": self._freeze_redis,
            "everything killed": self._kill_everything,
            "web process with failpoints": self._arm,
        }
        weights = (4, 1, 1, 2, 1, 1, 1, 6)
        kind = self._random.choices(list(kinds), weights)[0]
        part = kind.partition(" ")[0]
        rest = REST_SECONDS.get(part, 0.0)
        if time.monotonic() - self._last.get(part, -1e9) >= rest:
            # What is to be broken may be down already.
            with self.gate, suppress(psutil.NoSuchProcess, psycopg2.Error, *_NOT_THERE):
                kinds[kind]()
                self.faults[kind] += 1
            self._last[part] = time.monotonic()
        return self._random.uniform(*FAULT_SECONDS)

    def _kill_a_web_process(self) -> None:
        self._random.choice(self.server.web_workers()).kill()

    def _kill_database(self) -> None:
        with self.patience.database_dies():
            kill_database(self.server)

    def _redis(self) -> psutil.Process:
        return next(p for p in self.server.processes() if "redis" in " ".join(p.cmdline()[:1]))

    def _freeze_redis(self) -> None:
        redis = self._redis()
        redis.suspend()
        time.sleep(3)
        redis.resume()

    def _kill_everything(self) -> None:
        self._disarm()
        with self.patience.database_dies():
            self.server.kill()
        self.server.start()

    def _arm(self) -> None:
        self._disarm()
        failpoints = self._random.choice(FAILPOINTS).format(n=self._random.randint(1, 12))
        armed = ArmedWeb(self.server, failpoints)
        try:
            armed.__enter__()
        except AssertionError:
            # The database may be away at this very moment.
            return
        self._armed = armed
        self._addresses.append(armed.address)

    def _disarm(self) -> None:
        del self._addresses[1:]
        if self._armed is not None:
            self._armed.kill()
            self._armed = None


def main() -> int:
    """Run, print a summary, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--bucket", action="store_true", help="keep blobs in a failing bucket")
    options = parser.parse_args()
    _say(f"Seed {options.seed}, {options.minutes:g} minutes.")
    began = time.monotonic()
    with ExitStack() as stack:
        server, store, storm = _serve(stack, options.bucket, options.seed)
        soak = Soak(server, store, storm, options.seed)
        try:
            soak.run(options.minutes * 60)
        except BaseException as error:
            _say(server.output()[-4_000:])
            _report(soak, time.monotonic() - began)
            _say(f"FAILED with seed {options.seed}: {type(error).__name__}: {error}")
            return 1
        _report(soak, time.monotonic() - began)
    _say("Nothing was lost, nothing was wrong, nothing was left over.")
    return 0


def _serve(
    stack: ExitStack, is_bucket: bool, seed: int
) -> tuple[RunningServer, Store, Storm | None]:
    if not is_bucket:
        server = stack.enter_context(RunningServer())
        return server, Store(server.data_dir), None
    s3, storm = S3Server(), Storm(seed=seed)
    stack.callback(s3.stop)
    proxy = FaultyProxy(s3, script=storm)
    stack.callback(proxy.stop)
    bucket = s3.new_bucket()
    server = stack.enter_context(
        RunningServer(
            storage_url=f"s3://{bucket}/soak",
            storage_redirect="false",
            s3_endpoint=proxy.url,
            s3_region="us-east-1",
            s3_access_key_id=CREDENTIALS["access_key_id"],
            s3_secret_access_key=CREDENTIALS["secret_access_key"],
        )
    )
    storm.share = STORM_SHARE
    return server, Store(server.data_dir, Bucket(s3.client(), bucket, "soak/")), storm


def _report(soak: Soak, seconds: float) -> None:
    actions = sum((client.done for client in soak.clients), Counter[str]())
    faults = soak.faults + (soak.storm.made if soak.storm is not None else Counter())
    patience = soak.patience
    _say(
        f"{seconds:.0f} s, {patience.requests} requests, {patience.retries} repeated,"
        f" {patience.restarts} uploads begun anew, {patience.steps_back} set back."
    )
    for title, counts in (
        ("Actions", actions),
        ("Faults", faults),
        ("Sweeps", soak.sweeps),
        ("Checked", soak.checked),
    ):
        _say(f"{title}: " + ", ".join(f"{count} {name}" for name, count in counts.most_common()))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
