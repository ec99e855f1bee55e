"""Pulls by day, tag and family of clients."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from core.artifacts.models import PullRecord, PullUsage, Repository, TrashEntry
from core.artifacts.pulls import fold_pull_records, remove_old_usage
from core.artifacts.services.repositories import delete_repository
from core.common.clock import now
from core.storage.selection import default_driver
from core.trash.services import restore_entry
from tests.core.api.cast import Cast, make_cast, rows_of
from tests.factories.artifacts import PUSHER, storage_in
from tests.factories.projects import make_project, make_repository
from tests.support.crowds import at_once

APP = "/projects/secret/repositories/app/usage"
ALL = "/projects/secret/usage"
DAY = date(2026, 3, 4)


@pytest.fixture
def cast(db: None, tmp_path: Path, settings: Settings) -> Cast:
    settings.STORAGE_ROOT = tmp_path
    default_driver.cache_clear()
    return make_cast()


def pulled(repository: Repository, tag: str, agent: str, *, days: int = 0, times: int = 1) -> None:
    at = datetime(2026, 3, 4, 23, 59, 59, tzinfo=UTC) + timedelta(days=days)
    PullRecord.objects.bulk_create(
        PullRecord(
            repository_id=repository.pk,
            manifest_id=1,
            tag_name=tag,
            pulled_at=at,
            user_agent=agent,
        )
        for _ in range(times)
    )


def test_pulls_are_counted_by_day_tag_and_client(cast: Cast) -> None:
    app, other = make_repository(cast.project, "app"), make_repository(cast.project, "other")
    pulled(app, "v1", "docker/27.1", times=3)
    pulled(app, "v1", "docker/26.0", days=1)
    pulled(app, "", "containerd/1.7", times=2)
    pulled(other, "v1", "curl/8")
    pulled(make_repository(make_project("hidden"), "app"), "v1", "docker/27.1")
    pulled(Repository(pk=99_999), "v1", "docker/27.1")
    assert fold_pull_records(now()) == 9
    pulled(app, "v1", "docker/27.1")
    assert fold_pull_records(now()) == 1

    def usage(path: str, query: str) -> list[tuple[object, int]]:
        found = rows_of(cast["guest"].get(f"{path}?from=2026-03-01&to=2026-03-31&{query}"))
        return [(next(iter(row.values())), row["pulls"]) for row in found]

    assert usage(APP, "") == [("2026-03-04", 6), ("2026-03-05", 1)]
    assert usage(APP, "group_by=tag") == [("v1", 5), ("", 2)]
    assert usage(APP, "group_by=client") == [("docker", 5), ("containerd", 2)]
    assert usage(ALL, "group_by=repository") == [("secret/app", 7), ("secret/other", 1)]
    assert usage(ALL, "group_by=client") == [("docker", 5), ("containerd", 2), ("other", 1)]
    assert usage(ALL, "group_by=day&page_size=1&page=2") == [("2026-03-05", 1)]
    assert rows_of(cast["guest"].get(APP)) == []
    assert rows_of(cast["guest"].get(f"{APP}?from=2026-03-05&to=2026-03-05")) == [
        {"day": "2026-03-05", "pulls": 1}
    ]


def test_usage_outlives_its_repository(cast: Cast) -> None:
    def usage(path: str, group: str) -> dict[object, int]:
        query = f"from=2026-03-01&to=2026-03-31&group_by={group}"
        rows = rows_of(cast["admin"].get(f"{path}?{query}"))
        return {row[group]: row["pulls"] for row in rows}

    def delete(path: str = APP) -> int:
        repository = path.removesuffix("/usage")
        assert cast["admin"].delete(repository).status_code == 200
        entries = rows_of(cast["admin"].get("/projects/secret/trash?q=kind=repository"))
        return int(entries[0]["id"]) if entries else 0

    for name, times in {"app": 3, "other": 1}.items():
        pulled(make_repository(cast.project, name), "v1", "docker/27.1", times=times)
    fold_pull_records(now())
    first = delete()
    assert usage(ALL, "day") == {"2026-03-04": 4}
    assert usage(ALL, "client") == {"docker": 4}
    # Who makes a repository of that name has nothing of it.
    pulled(make_repository(cast.project, "app"), "v1", "docker/27.1", days=1)
    fold_pull_records(now())
    assert usage(APP, "day") == {"2026-03-05": 1}
    assert usage(ALL, "repository") == {"": 3, "secret/app": 1, "secret/other": 1}
    second = delete()
    assert second != first
    restored = cast["admin"].post(f"/projects/secret/trash/{first}/restore")
    assert restored.status_code == 200
    assert usage(APP, "day") == {"2026-03-04": 3}
    assert usage(APP, "tag") == {"v1": 3}
    pulled(Repository.objects.get(name="secret/app"), "v1", "docker/27.1")
    fold_pull_records(now())
    assert usage(APP, "client") == {"docker": 4}
    # What nobody can restore any more stays with the project, and follows nobody.
    assert cast["admin"].delete("/projects/secret/trash").status_code == 200
    answer = cast["admin"].put("/projects/secret", {"metadata": {"trash_days": "0"}})
    assert (answer.status_code, delete("/projects/secret/repositories/other")) == (200, 0)
    assert usage(ALL, "repository") == {"": 2, "secret/app": 4}
    make_project("target")
    transfer = cast["admin"].post(
        "/projects/secret/repositories/app/transfer", {"project": "target"}
    )
    assert transfer.status_code == 200, transfer.content
    assert usage(ALL, "repository") == {"": 2}
    assert usage("/projects/target/usage", "repository") == {"target/app": 4}
    assert remove_old_usage(DAY + timedelta(days=1), 100) == 2
    assert usage(ALL, "day") == {"2026-03-05": 1}
    assert cast["admin"].delete("/projects/secret").status_code == 200
    assert not PullUsage.objects.exists()


@pytest.mark.parametrize(
    "query",
    ["from=yesterday", "to=2026-13-01", "from=2026-03-02&to=2026-03-01", "group_by=user"],
)
def test_malformed_questions(cast: Cast, query: str) -> None:
    make_repository(cast.project, "app")
    for path in (APP, ALL):
        assert cast["guest"].get(f"{path}?{query}").status_code == 400
    assert cast["guest"].get(f"{ALL}?group_by=tag").status_code == 400
    assert cast["guest"].get(f"{APP}?to=0001-01-01").status_code == 200


def test_old_usage_is_removed_in_batches(cast: Cast) -> None:
    app = make_repository(cast.project, "app")
    for days in range(4):
        pulled(app, "v1", "docker/27.1", days=days)
    assert fold_pull_records(now()) == 4
    before = DAY + timedelta(days=3)
    assert [remove_old_usage(before, 2) for _ in range(3)] == [2, 1, 0]
    assert PullUsage.objects.get().day == before


@pytest.mark.django_db(transaction=True)
def test_parallel_folds_count_every_pull_once() -> None:
    app = make_repository(make_project("team"), "app")
    pulled(app, "v1", "docker/27.1", times=200)

    def fold(_: int) -> int:
        folded = 0
        while batch := fold_pull_records(now(), limit=20):
            folded += batch
        return folded

    results = at_once(4, fold)
    assert sum(result for result in results if isinstance(result, int)) == 200
    assert PullUsage.objects.get().pulls == Repository.objects.get().pull_count == 200


@pytest.mark.django_db(transaction=True)
def test_deletions_and_restores_beside_folds_lose_no_counted_pull(
    tmp_path: Path, settings: Settings
) -> None:
    with storage_in(tmp_path, settings):
        project = make_project("team")
        pulled(make_repository(project, "app"), "v1", "docker/27.1", times=60)

        def work(number: int) -> object:
            if number:
                return [fold_pull_records(now(), limit=5) for _ in range(4)]
            delete_repository("team/app", actor=PUSHER)
            entry = TrashEntry.objects.get()
            return restore_entry(project, entry.pk, actor=PUSHER)

        results = at_once(4, work)
        assert not any(isinstance(result, BaseException) for result in results), results
        counted = sum(PullUsage.objects.values_list("pulls", flat=True))
        assert counted == Repository.objects.get().pull_count
        assert set(PullUsage.objects.values_list("repository", "project")) <= {
            (Repository.objects.get().pk, project.pk)
        }
