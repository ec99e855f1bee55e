"""Lists of entity tags."""

import time

import pytest

from core.oci.digest import Digest
from core.oci.entity_tags import MAX_HEADER_CHARACTERS, entity_tag, parse_entity_tags
from core.oci.errors import EntityTagsInvalid

pytestmark = pytest.mark.pure

ONE, TWO = Digest.of(b"1"), Digest.of(b"2")


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        (entity_tag(ONE), True),
        (f" W/{entity_tag(ONE)} ", None),
        (f"{entity_tag(TWO)} ,\t{entity_tag(ONE)}", True),
        ("*", True),
        (f"{entity_tag(TWO)}, *", True),
        (entity_tag(TWO), False),
        (str(ONE), False),
        ("", False),
        (",,", False),
    ],
)
def test_what_a_header_names(header: str, meant: bool | None) -> None:
    """None: by weak comparison only."""
    tags = parse_entity_tags(header)
    assert tags.names(entity_tag(ONE)) is (meant is True)
    assert tags.names_weakly(entity_tag(ONE)) is (meant is not False)


@pytest.mark.parametrize("filler", [" ", '"', ",", "W/", '" '])
def test_hostile_headers_cost_little(filler: str) -> None:
    header = ("x" + filler * MAX_HEADER_CHARACTERS)[: MAX_HEADER_CHARACTERS - 1] + "x"
    began = time.thread_time()
    assert not parse_entity_tags(header).names_weakly(entity_tag(ONE))
    assert time.thread_time() - began < 0.05


def test_a_header_has_an_end() -> None:
    with pytest.raises(EntityTagsInvalid):
        parse_entity_tags(" " * (MAX_HEADER_CHARACTERS + 1))
