"""kill -9 at each step of an upload: what was acknowledged is there, the rest can go on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.clients.protocol import Account, Answer, ConnectionLost, Registry
from tests.faults.invariants import Store
from tests.faults.power import Disk, Survival, moments, rebuild
from tests.faults.steps import ALL_BYTES, COMMITTED, FIRST_BYTES, STEPS, Request, Step, traces
from tests.faults.strace import CHANGES, Attached, SystemCall, need_strace
from tests.faults.uploads import random_content, resume, upload_id_of
from tests.faults.webs import ArmedWeb
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.slow]


def die_alone(server: RunningServer, step: Step, act: Callable[[ArmedWeb], None]) -> None:
    """Let the web process that carries out a request kill itself at the step."""
    armed = ArmedWeb(server, step.armed("kill"))
    with armed as web, pytest.raises(ConnectionLost):
        act(web)


def die_together(server: RunningServer, step: Step, act: Callable[[ArmedWeb], None]) -> None:
    """Kill every process, the database too, while a request stands still at the step."""
    with request_standing_still(server, step, act):
        pass


def lose_power(server: RunningServer, step: Step, act: Callable[[ArmedWeb], None]) -> None:
    """The same, and the disk keeps nothing of the storage that was not synced."""
    need_strace()
    root = server.data_dir / "storage"
    disk = Disk.as_it_is(root)

    def record(web: ArmedWeb) -> Attached:
        return Attached(web.worker_pid(), trace=CHANGES)

    with request_standing_still(server, step, act, record) as calls:
        list(moments(disk, calls))
        rebuild(root, disk.survivors(Survival.NOTHING))


@contextmanager
def request_standing_still(
    server: RunningServer,
    step: Step,
    act: Callable[[ArmedWeb], None],
    record: Callable[[ArmedWeb], Attached] | None = None,
) -> Iterator[list[SystemCall]]:
    """Kill everything while a request stands still at the step; start it again after the block.

    The block gets the system calls of the web process, if they are recorded.
    """
    lost: list[ConnectionLost] = []
    calls: list[SystemCall] = []

    def act_until_lost() -> None:
        try:
            act(web)
        except ConnectionLost as error:
            lost.append(error)

    with ArmedWeb(server, step.armed("sleep:60")) as web, ExitStack() as stack:
        strace = stack.enter_context(record(web)) if record is not None else None
        request = threading.Thread(target=act_until_lost)
        request.start()
        try:
            web.wait_until_asleep()
            if strace is not None:
                calls = strace.calls()
        finally:
            server.kill()
            web.kill()
            request.join(30)
            try:
                yield calls
            finally:
                server.start()
    assert len(lost) == 1, "the request was answered"


DEATHS = {"web process": die_alone, "whole server": die_together, "power": lose_power}
# Starting everything again takes its time, and losing the power includes losing all processes.
CASES = [
    *(pytest.param(step, "web process", id=f"{step}-web process") for step in STEPS),
    *(pytest.param(step, "power", id=f"{step}-power") for step in STEPS if step.kills_all),
    pytest.param(COMMITTED, "whole server", id=f"{COMMITTED}-whole server"),
]


@pytest.mark.parametrize(("step", "death"), CASES)
def test_upload_survives(
    step: Step,
    death: str,
    server: RunningServer,
    store: Store,
    registry: Registry,
    account: Account,
    repository: str,
) -> None:
    content, digest = random_content(ALL_BYTES)
    location = ""
    if step.request is not Request.START:
        location = registry.start_upload(repository)
        assert registry.append(location, content[:FIRST_BYTES], start=0).status == 202
    if step.request is Request.FINISH:
        assert registry.append(location, content[FIRST_BYTES:]).received == ALL_BYTES

    def act(web: ArmedWeb) -> None:
        through = web.as_account(account)
        if step.request is Request.START:
            through.start_upload(repository)
        elif step.request is Request.APPEND:
            through.append(location, content[FIRST_BYTES:])
        else:
            through.finish(location, digest)

    DEATHS[death](server, step, act)

    store.assert_sound()
    if location:
        left = traces(store, upload_id_of(location))
    else:
        left = traces(store, only_upload(store, repository))
    after_power = step.leaves_after_power if death == "power" else None
    assert (after_power or step.leaves)(left), left
    is_visible = registry.head_blob(repository, digest).status == 200
    assert is_visible == left.is_committed
    if not location:
        location = registry.start_upload(repository)
    acknowledged = {Request.START: 0, Request.APPEND: FIRST_BYTES, Request.FINISH: ALL_BYTES}
    resume(
        registry,
        store,
        location,
        content,
        digest,
        acknowledged=acknowledged[step.request],
        at_once=death != "web process",
    )
    assert registry.get_blob(repository, digest).body == content
    # The answer may be lost once more: asking again gives it again.
    assert registry.finish(location, digest).status == 201


def only_upload(store: Store, repository: str) -> str | None:
    """Return the id of the one upload into a repository, None when the power cut took its row."""
    rows = store.records.rows("SELECT id FROM blobs_upload WHERE repository_name = %s", repository)
    return str(rows[0][0]) if rows else None


@pytest.mark.parametrize("step", [STEPS[5], STEPS[-2], COMMITTED], ids=str)
def test_upload_given_up_leaves_no_blob(
    step: Step,
    server: RunningServer,
    registry: Registry,
    account: Account,
    repository: str,
) -> None:
    content, digest = random_content(ALL_BYTES)
    location = registry.start_upload(repository)
    assert registry.append(location, content).status == 202

    die_alone(server, step, lambda web: _finish(web.as_account(account), location, digest))

    # What the sweeper must do is checked when the fixture `server` ends.
    expected = 200 if step is COMMITTED else 404
    assert registry.head_blob(repository, digest).status == expected


def test_duplicate_content_is_kept_once(
    server: RunningServer, store: Store, registry: Registry, account: Account, repository: str
) -> None:
    content, digest = random_content(ALL_BYTES)
    registry.push_blob(repository, content)
    location = registry.start_upload(f"{repository}/again")
    assert registry.append(location, content).status == 202

    # The copy's own bytes are removed after the transaction; here nobody gets to do it.
    die_alone(server, COMMITTED, lambda web: _finish(web.as_account(account), location, digest))

    assert registry.finish(location, digest).status == 201
    assert registry.get_blob(f"{repository}/again", digest).body == content
    # Two links to one blob; that the second copy's file goes is checked at the end.
    links = store.records.value(
        "SELECT count(*) FROM artifacts_repositoryblob l JOIN blobs_blob b ON b.id = l.blob_id"
        " WHERE b.digest = %s",
        b"\x01" + bytes.fromhex(digest.removeprefix("sha256:")),
    )
    assert links == 2


def test_database_connection_breaks_in_the_transaction(
    server: RunningServer, store: Store, registry: Registry, account: Account, repository: str
) -> None:
    content, digest = random_content(ALL_BYTES)
    location = registry.start_upload(repository)
    assert registry.append(location, content).status == 202
    answers: list[Answer] = []

    with ArmedWeb(server, "upload.commit.in_transaction=sleep:5@1") as web:
        through = web.as_account(account)
        request = threading.Thread(target=lambda: answers.append(through.finish(location, digest)))
        request.start()
        web.wait_until_asleep()
        ended = store.records.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE state = 'idle in transaction' AND datname = current_database()"
        )
        request.join(30)

        assert ended == [(True,)]
        assert [answer.status for answer in answers] == [503]
        assert int(answers[0].headers["retry-after"]) >= 1
        assert registry.head_blob(repository, digest).status == 404
        # The same process goes on with a new connection, and the upload is not lost.
        resume(through, store, location, content, digest, acknowledged=ALL_BYTES)
    assert registry.get_blob(repository, digest).body == content


def _finish(through: Registry, location: str, digest: str) -> None:
    through.finish(location, digest)
