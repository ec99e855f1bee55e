"""PostgreSQL killed, full, read-only, in a deadlock, silent at a COMMIT: nothing is lost."""

import threading
from contextlib import closing
from urllib.parse import urlencode

import pytest

from tests.clients.images import Image, make_image, make_layer
from tests.clients.management import Management
from tests.clients.protocol import Account, Answer, Registry
from tests.faults.databases import CommitCutter, Superuser, kill_database, restart_database
from tests.faults.invariants import Store
from tests.faults.load import Load
from tests.faults.patience import Patience, PatientRegistry, blobs_of
from tests.faults.uploads import random_content, resume, upload_id_of
from tests.faults.webs import ArmedWeb
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.slow]

LARGE_BYTES = 5_000_000
"""More than what is acknowledged before the database has it on disk (ADR 0011)."""


def assert_try_later(answer: Answer) -> None:
    """Expect the answer that lets every client ask again."""
    assert answer.status == 503, answer
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json["errors"][0]["code"] == "UNAVAILABLE"


@pytest.mark.usefixtures("database_forgets")
def test_killed_and_restarted_under_load(
    server: RunningServer, account: Account, repository: str
) -> None:
    with Load(server.registry, account, repository) as load:
        with load.patience.database_dies():
            kill_database(server)
        load.wait_for_progress(8)
        # One that is told to stop forgets nothing.
        restart_database(server)
        load.wait_for_progress(8)


def test_sessions_ended_under_load(
    server: RunningServer, account: Account, repository: str
) -> None:
    superuser = Superuser(server)
    with Load(server.registry, account, repository) as load:
        for _time in range(5):
            superuser.end_sessions()
            load.wait_for_progress(3)


def test_no_connection_left(
    server: RunningServer, store: Store, registry: Registry, repository: str
) -> None:
    content, digest = random_content(1_000_000)
    location = registry.start_upload(repository)
    assert registry.append(location, content[:400_000]).status == 202
    superuser = Superuser(server)

    with superuser.changed_role("CONNECTION LIMIT 0", "CONNECTION LIMIT -1"):
        refused = [
            registry.head_manifest(repository, "1"),
            registry.get_blob(repository, digest),
            registry.request("GET", f"/v2/{repository}/tags/list"),
            registry.request("POST", f"/v2/{repository}/blobs/uploads/", body=b""),
            registry.append(location, content[400_000:], start=400_000),
            registry.finish(location, digest),
            registry.request("GET", f"/service/token?scope=repository:{repository}:pull"),
        ]
        for answer in refused[1:]:
            assert_try_later(answer)
        assert refused[0].status == 503

    resume(registry, store, location, content, digest, acknowledged=400_000, at_once=True)


MAKE_EVERYTHING_DUE = """
UPDATE artifacts_repositoryblob SET leased_until = now() - interval '1 hour';
UPDATE artifacts_manifest SET touched_at = now() - interval '2 days';
UPDATE authn_personaltoken SET last_used_at = now() - interval '2 minutes';
UPDATE authn_refreshtoken SET last_used_at = now() - interval '2 minutes';
UPDATE robots_robot SET last_used_at = now() - interval '2 minutes';
DELETE FROM authn_loginfailure
"""
"""Whatever a pull, a login or a look before a push notes is due to be noted again."""


def token_status(web: ArmedWeb, account: Account, repository: str) -> int:
    """Log in as clients do, and return the status of the answer."""
    path = f"/service/token?scope=repository:{repository}:pull"
    return web.as_account(account).request("GET", path).status


def redeem(address: str, refresh_token: str) -> int:
    """Log in with what docker keeps instead of a password, and return the status."""
    form = urlencode({"grant_type": "refresh_token", "refresh_token": refresh_token})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    registry = Registry(address)
    return registry.request("POST", "/service/token", body=form.encode(), headers=headers).status


def assert_found(registry: Registry, repository: str, image: Image) -> None:
    """Expect an account that may push to get a token, to pull, and to find what is there."""
    path = f"/service/token?scope=repository:{repository}:pull,push"
    answer = registry.request("GET", path)
    assert answer.status == 200, answer
    registry.verify(repository, "1")
    headers = {"Authorization": f"Bearer {answer.json['token']}"}
    parts = [f"manifests/{image.digest}", *(f"blobs/{digest}" for _, digest in blobs_of(image))]
    for part in parts:
        found = registry.request("HEAD", f"/v2/{repository}/{part}", headers=headers)
        assert found.status == 200, (part, found)


def test_read_only(server: RunningServer, store: Store, account: Account, repository: str) -> None:
    """As a standby, or a disk that ran full, would have it: pulls and logins go on, pushes wait."""
    registry = Registry(server.registry, account)
    project = repository.partition("/")[0]
    image = make_image(layers=[make_layer(100_000)])
    management = Management(server.registry, account)
    developer = management.create_member(project, "developer")
    tokens = (
        management.create_robot(project, "pull", "push").account,
        management.create_token(developer, "repository:pull", "repository:push"),
    )
    docker = registry.as_account(developer).request("GET", "/service/token?offline_token=true")
    refresh_token = docker.json["refresh_token"]
    patient = PatientRegistry(server.registry, account)
    patient.push_image(repository, "1", image)
    content, digest = random_content(1_000_000)
    location = registry.start_upload(repository)
    assert registry.append(location, content[:400_000]).status == 202
    store.records.change(MAKE_EVERYTHING_DUE)

    change = "SET default_transaction_read_only = on"
    with Superuser(server).changed_role(change, "RESET default_transaction_read_only"):
        registry.verify(repository, "1")
        assert registry.request("GET", f"/v2/{repository}/tags/list").status == 200
        with ArmedWeb(server) as fresh:
            for pusher in (*tokens, developer):
                assert_found(fresh.as_account(pusher), repository, image)
            assert redeem(fresh.address, refresh_token) == 200
            guesses = [Account(developer.username, f"guess {number}") for number in range(12)]
            assert [token_status(fresh, each, repository) for each in guesses] == [401] * 10 + [
                429
            ] * 2
            # Right ones are not looked at any more either, though this one was a moment ago.
            assert token_status(fresh, developer, repository) == 429
            assert [token_status(fresh, each, repository) for each in tokens] == [200, 200]
        for answer in (
            registry.request("POST", f"/v2/{repository}/blobs/uploads/", body=b""),
            registry.append(location, content[400_000:], start=400_000),
            registry.finish(location, digest),
            registry.push_manifest(repository, "2", image.manifest),
            registry.request("DELETE", f"/v2/{repository}/manifests/1"),
        ):
            assert_try_later(answer)

    resume(registry, store, location, content, digest, acknowledged=400_000, at_once=True)
    patient.put_manifest(repository, "2", image.manifest)
    # Pulls of that time were kept in memory, and are counted now.
    store.records.wait_until(
        lambda: (
            ("artifact.pulled", "success")
            in [entry[:2] for entry in store.records.audit_actions(project)]
        ),
        timeout=60,
    )


def test_deadlock(
    server: RunningServer, store: Store, account: Account, registry: Registry, repository: str
) -> None:
    """The web process is the one whose transaction is undone; its client asks once more."""
    registry.push_blob(repository, b"so that the repository is there")
    content, digest = random_content(100_000)
    location = registry.start_upload(repository)
    assert registry.append(location, content).status == 202
    answers: list[Answer] = []
    superuser = Superuser(server)

    with (
        superuser.changed_role("SET deadlock_timeout = '4s'", "RESET deadlock_timeout"),
        ArmedWeb(server, "upload.commit.before_transaction=sleep:4@1") as web,
        closing(superuser.connect()) as other,
        other.cursor() as cursor,
    ):
        cursor.execute("SET deadlock_timeout = '10min'")
        through = web.as_account(account)
        request = threading.Thread(target=lambda: answers.append(through.finish(location, digest)))
        request.start()
        web.wait_until_asleep()
        upload_id = upload_id_of(location)
        cursor.execute("SELECT 1 FROM blobs_upload WHERE id = %s FOR UPDATE", [upload_id])
        store.records.wait_until(
            lambda: store.records.value(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            ),
            timeout=60,
        )
        # The web process looks for a deadlock when it has waited four seconds, this session never.
        cursor.execute(
            "SELECT 1 FROM artifacts_repository WHERE name = %s FOR UPDATE", [repository]
        )
        other.rollback()
        request.join(30)
        assert_try_later(answers[0])
        assert registry.head_blob(repository, digest).status == 404
        assert Patience(30).until(lambda: through.finish(location, digest), 201)
        assert registry.get_blob(repository, digest).body == content


def test_answer_to_a_commit_is_lost(
    server: RunningServer, store: Store, account: Account, repository: str
) -> None:
    """The commit happened, the process cannot know: it says so, and the same request succeeds."""
    image = make_image(layers=[make_layer(50_000)])
    with (
        CommitCutter(server) as cutter,
        ArmedWeb(server, database_url=cutter.database_url) as web,
    ):
        registry = web.as_account(account)
        for content, digest in blobs_of(image):
            location = registry.start_upload(repository)
            assert registry.append(location, content).status == 202
            cutter.cut_next_commit(b"upload_commit")
            assert_try_later(registry.finish(location, digest))
            assert registry.head_blob(repository, digest).status == 200
            assert Patience(30).until(lambda at=location, d=digest: registry.finish(at, d), 201)  # type: ignore[misc]
        cutter.cut_next_commit(b"content_share")
        assert_try_later(registry.push_manifest(repository, "1", image.manifest))
        assert registry.push_manifest(repository, "1", image.manifest).status == 201
        assert cutter.cut == 3
        registry.verify(repository, "1")
    blobs = "SELECT count(*) FROM artifacts_repositoryblob l JOIN artifacts_repository r"
    found = store.records.value(f"{blobs} ON r.id = l.repository_id WHERE r.name = %s", repository)
    assert found == 2


def test_database_is_away_for_seconds(
    server: RunningServer, store: Store, account: Account, repository: str
) -> None:
    """Every request meanwhile is answered; a large piece that was acknowledged is not lost."""
    registry = Registry(server.registry, account)
    content, digest = random_content(6_000_000)
    location = registry.start_upload(repository)
    assert registry.append(location, content[:LARGE_BYTES]).status == 202

    kill_database(server)
    seen = {registry.upload_status(location).status for _time in range(3)}
    assert seen <= {204, 503}

    Patience(60).until(lambda: registry.upload_status(location), 204)
    resume(registry, store, location, content, digest, acknowledged=LARGE_BYTES)
