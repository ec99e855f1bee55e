"""Answers are rendered as the framework would, without what is zero; requests read without null."""

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from rest_framework import serializers

from core.api.fields import (
    NEVER,
    ExactRequestSerializer,
    RequestSerializer,
    ResponseSerializer,
    TextField,
    TimestampField,
    timestamp,
)

pytestmark = pytest.mark.pure

AT = datetime(2026, 1, 31, 13, 45, 0, 123_999, UTC)


class Inner(ResponseSerializer):
    name = serializers.CharField()


class Shape(ResponseSerializer):
    always = frozenset({"count"})

    count = serializers.IntegerField()
    size = serializers.IntegerField()
    name = serializers.CharField(source="inner.name")
    secret = serializers.CharField(write_only=True)
    inner = Inner()
    many = Inner(many=True)
    extra = serializers.JSONField()  # type: ignore[var-annotated]  # the stubs leave it open
    made = serializers.SerializerMethodField()
    named = serializers.SerializerMethodField(method_name="other")
    seen_at = TimestampField()
    standard = serializers.CharField(default="given")

    def get_made(self, row: Any) -> Any:
        return self.context["made"]

    def other(self, row: Any) -> str:
        return "other"


INNER = SimpleNamespace(name="inner")
FULL = {
    "count": "7",
    "size": 5,
    "inner": INNER,
    "many": [INNER],
    "extra": {"a": 0},
    "seen_at": AT,
    "standard": "own",
    "secret": "x",
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"count": 0, "size": 0, "extra": {}, "many": []},
        {"size": None, "extra": None, "seen_at": None, "standard": None},
        {"extra": False},
        {"extra": ()},
        {"inner": SimpleNamespace(name="")},
        {"size": ..., "extra": ..., "standard": ..., "many": ...},
    ],
)
@pytest.mark.parametrize("made", [None, 0, "", [], {}, [0], "made", False, True])
def test_rendered_like_the_framework(changes: dict[str, Any], made: Any) -> None:
    values = {name: value for name, value in (FULL | changes).items() if value is not ...}
    for row in (values, SimpleNamespace(**values)):
        serializer = Shape(row, context={"made": made})
        every = serializers.Serializer.to_representation(serializer, row)
        assert "secret" not in every
        rendered = serializer.data
        assert list(rendered) == [name for name in every if name in rendered]
        for name, value in every.items():
            is_zero = value is None or (value == 0 and name != "count") or value in ("", [], {})
            assert (name in rendered) is not is_zero, name
            assert is_zero or rendered[name] == value


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (None, NEVER),
        (AT, "2026-01-31T13:45:00.123Z"),
        (AT.replace(microsecond=0), "2026-01-31T13:45:00.000Z"),
        (AT.astimezone(timezone(timedelta(hours=14))), "2026-01-31T13:45:00.123Z"),
        (datetime(7, 1, 1, tzinfo=UTC), "0007-01-01T00:00:00.000Z"),
    ],
)
def test_times(moment: datetime | None, text: str) -> None:
    assert timestamp(moment) == text


class Item(RequestSerializer):
    id = serializers.IntegerField()
    note = serializers.CharField(required=False)


class Wanted(RequestSerializer):
    name = serializers.CharField()
    text = serializers.CharField(required=False)
    flag = serializers.BooleanField(required=False, default=False)
    ends = serializers.IntegerField(required=False, allow_null=True)
    item = Item(required=False)
    items = Item(many=True, required=False)
    named: Any = serializers.DictField(child=Item(), required=False)


class ExactlyWanted(ExactRequestSerializer):
    name = serializers.CharField(required=False)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"text": None}, {"flag": False}),
        ({"flag": None, "ends": None}, {"flag": False, "ends": None}),
        ({"item": None, "items": None, "named": None}, {"flag": False}),
        ({"item": {"id": 1, "note": None}}, {"flag": False, "item": {"id": 1}}),
        ({"items": [{"id": 1, "note": None}]}, {"flag": False, "items": [{"id": 1}]}),
        ({"named": {"a": {"id": 1, "note": None}}}, {"flag": False, "named": {"a": {"id": 1}}}),
        ({"unknown": None}, {"flag": False}),
    ],
)
def test_null_is_as_if_left_out(sent: dict[str, Any], read: dict[str, Any]) -> None:
    serializer = Wanted(data={"name": "x", **sent})
    assert serializer.is_valid(), serializer.errors
    assert serializer.validated_data == {"name": "x", **read}


@pytest.mark.parametrize(
    ("shape", "sent", "refused"),
    [
        (Wanted, {"name": None}, "name"),
        (Wanted, {"name": "x", "item": {"id": None}}, "item"),
        (Wanted, {"name": "x", "items": [None]}, "items"),
        (ExactlyWanted, {"name": None}, "name"),
    ],
)
def test_null_is_refused_where_something_is_needed(
    shape: type[RequestSerializer], sent: dict[str, Any], refused: str
) -> None:
    serializer = shape(data=sent)
    assert not serializer.is_valid()
    assert list(serializer.errors) == [refused]
    if shape is Wanted and refused == "name":
        assert serializer.errors["name"] == ["This field is required."]


class Texts(RequestSerializer):
    name = TextField()
    others = serializers.ListField(child=TextField(allow_null=True), required=False)
    named: Any = serializers.DictField(child=TextField(), required=False)


@pytest.mark.parametrize("value", [5, 0, -1, 2.5, 1e400, True, False, [], ["x"], {}, {"x": "y"}])
def test_a_text_is_a_string_of_json(value: Any) -> None:
    assert Texts(data={"name": "5", "others": ["2.5", None], "named": {"a": "1"}}).is_valid()
    for sent in ({"name": value}, {"others": [value]}, {"named": {"a": value}}):
        serializer = Texts(data={"name": "x", **sent})
        assert not serializer.is_valid()
        assert list(serializer.errors) == list(sent)
