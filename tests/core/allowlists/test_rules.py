"""What may stand in an allowlist, and when it counts."""

from datetime import UTC, datetime, timedelta

import pytest

from core.allowlists import rules
from core.allowlists.errors import AllowlistInvalid

pytestmark = pytest.mark.pure


def test_ids_are_sorted() -> None:
    given = ["GHSA-xxxx-1", "CVE-2026-2", "RHSA-2026:1", "CVE-2026-10", "TEMP-0841856-B18BAF"]
    assert rules.checked_cve_ids(given) == tuple(sorted(given))
    assert rules.checked_cve_ids([]) == ()


@pytest.mark.parametrize("wrong", ["", " ", "a b", "-a", "a--b", "CVE-2026-1\n", "x" * 129, "é"])
def test_what_is_no_id_is_refused(wrong: str) -> None:
    with pytest.raises(AllowlistInvalid, match="is no id"):
        rules.checked_cve_ids(["CVE-2026-1", wrong])


def test_lists_are_bounded_and_say_nothing_twice() -> None:
    with pytest.raises(AllowlistInvalid, match="CVE-2026-1 stands there twice"):
        rules.checked_cve_ids(["CVE-2026-1", "CVE-2026-2", "CVE-2026-1"])
    full = [f"CVE-2026-{number}" for number in range(rules.MAXIMUM_ITEMS)]
    assert len(rules.checked_cve_ids(full)) == rules.MAXIMUM_ITEMS
    with pytest.raises(AllowlistInvalid, match="10000 at most"):
        rules.checked_cve_ids([*full, "one-more"])


def test_a_list_counts_until_it_ends() -> None:
    end = datetime(2026, 1, 1, tzinfo=UTC)
    assert rules.is_in_force(None, end)
    assert rules.is_in_force(end, end - timedelta(seconds=1))
    assert not rules.is_in_force(end, end)
