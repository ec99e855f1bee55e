"""Names and metadata of projects."""

import pytest

from core.projects import rules
from core.projects.errors import MetadataInvalid, ProjectNameInvalid

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("name", ["a", "0", "library", "team-1", "a.b_c-d", "x" * 255, "9lives"])
def test_accepts(name: str) -> None:
    rules.ensure_valid_name(name)
    assert rules.is_valid_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Library",
        "-a",
        "a-",
        "a--b",
        "a..b",
        "a._b",
        "a/b",
        "a b",
        "a+b",
        "a\n",
        "a\x00",
        "été",
        "..",
        "x" * 256,
    ],
)
def test_refuses(name: str) -> None:
    with pytest.raises(ProjectNameInvalid):
        rules.ensure_valid_name(name)
    assert not rules.is_valid_name(name)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("public", "True", "true"),
        ("prevent_vul", "FALSE", "false"),
        ("severity", "High", "high"),
        ("severity", "none", "none"),
        ("proxy_speed_kb", "-1", "-1"),
        ("max_upstream_conn", "007", "7"),
        ("max_upstream_conn", "2147483647", "2147483647"),
        ("proxy_cache_filter_pattern", "library/**", "library/**"),
        ("proxy_cache_filter_kind", "regex", "regex"),
        ("proxy_cache_filter_kind", "", ""),
    ],
)
def test_metadata_are_kept_in_one_form(name: str, value: str, kept: str) -> None:
    assert rules.checked_metadata(name, value) == kept


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("public", "", 'metadata.public must be "true" or "false".'),
        ("auto_scan", "1", 'metadata.auto_scan must be "true" or "false".'),
        ("severity", "urgent", "must be one of none, low, medium, high, critical."),
        ("proxy_speed_kb", "0", "from 1, or -1"),
        ("proxy_speed_kb", "-2", "from 1, or -1"),
        ("proxy_speed_kb", "2147483648", "from 1, or -1"),
        ("proxy_speed_kb", "9" * 5000, "from 1, or -1"),
        ("max_upstream_conn", "\u0663", "from 1, or -1"),
        ("max_upstream_conn", "--1", "from 1, or -1"),
        ("proxy_cache_filter_kind", "glob", "must be doublestar or regex."),
        ("proxy_cache_filter_pattern", "x" * 1025, "at most 1024 characters."),
        ("retention_id", "7", "metadata.retention_id is set by"),
        ("colour", "red", "metadata.colour is not known."),
    ],
)
def test_refusals_of_metadata_name_the_key(name: str, value: str, sentence: str) -> None:
    with pytest.raises(MetadataInvalid) as caught:
        rules.checked_metadata(name, value)
    assert sentence in caught.value.message


def test_metadata_are_merged() -> None:
    kept = {"auto_scan": "true", "retention_id": "7", "proxy_cache_filter_pattern": "x"}
    given = {
        "public": "true",
        "auto_scan": "",
        "severity": None,
        "retention_id": "7",
        "prevent_vul": "TRUE",
        "proxy_cache_filter_pattern": "",
    }
    assert rules.merged_metadata(kept, given) == {
        "auto_scan": "true",
        "retention_id": "7",
        "prevent_vul": "true",
        "proxy_cache_filter_pattern": "",
    }
    assert rules.visibility_in(given) is True
    assert rules.visibility_in({"public": ""}) is rules.visibility_in({}) is None
    for wrong in ({"retention_id": "8"}, {"colour": None}, {"auto_scan": "x"}):
        with pytest.raises(MetadataInvalid):
            rules.merged_metadata(kept, wrong)
