"""Bases of request and response shapes.

Requests and responses never share a serializer, and none has ``create`` or ``update``.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.utils.functional import cached_property
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.errors import BadRequest

NEVER = "0001-01-01T00:00:00.000Z"
"""How the API writes a time that has not come."""

MAXIMUM_INTEGER = (1 << 63) - 1

_ZERO_VALUES: tuple[object, ...] = (None, "", 0, [], {})


def timestamp(moment: datetime | None) -> str:
    """Return a time as RFC 3339 with milliseconds in UTC; None as ``NEVER``."""
    if moment is None:
        return NEVER
    # The offset of UTC is written as +00:00.
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


@extend_schema_field(OpenApiTypes.DATETIME)
class TimestampField(serializers.Field[Any, Any, str, Any]):
    """A time as ``2026-01-31T13:45:00.123Z``; one that has not come as ``NEVER``."""

    def get_attribute(self, instance: Any) -> Any:
        """Return the time, or ``NEVER`` so that a missing one is rendered too."""
        return super().get_attribute(instance) or NEVER

    def to_representation(self, value: Any) -> str:
        """Render the time."""
        return value if isinstance(value, str) else timestamp(value)


class ResponseSerializer(serializers.Serializer[Any]):
    """A shape on the wire.

    Fields with a zero value are left out, as Harbor leaves them out, except those named in
    ``always``. Times are always present.
    """

    always: ClassVar[frozenset[str]] = frozenset()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields; only those always present are documented as required."""
        fields = super().get_fields()
        for name, field in fields.items():
            field.required = name in self.always or isinstance(field, TimestampField)
        return fields

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Render and drop zero values.

        As the inherited method does it, but how fields are read is looked up once for all rows.
        """
        rendered: dict[str, Any] = {}
        for name, read in self._readers:
            try:
                value = read(instance)
            except serializers.SkipField:
                continue
            if value or name in self.always or value not in _ZERO_VALUES:
                rendered[name] = value
        return rendered

    @cached_property
    def _readers(self) -> list[tuple[str, Callable[[Any], Any]]]:
        return [(field.field_name or "", self._reader(field)) for field in self._readable_fields]

    def _reader(self, field: "serializers.Field[Any, Any, Any, Any]") -> Callable[[Any], Any]:
        """Return how the field renders what it shows of an object, None as it is."""
        if isinstance(field, serializers.SerializerMethodField):
            method: Callable[[Any], Any] = getattr(self, field.method_name or "")
            return method

        def read(instance: Any) -> Any:
            value = field.get_attribute(instance)
            return None if value is None else field.to_representation(value)

        return read


class TextField(serializers.CharField):
    """A text in a request, which is a string of JSON and nothing else.

    The inherited field takes numbers, and a number that is meant for an id would be a name.
    """

    def to_internal_value(self, data: Any) -> str:
        """Read the text. Raises ``ValidationError``."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class RequestListSerializer(serializers.ListSerializer[Any]):
    """A list of shapes, which may be null where that is said of it; none of its items may."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.child is not None:
            # What is said of the list was said to its items as well.
            self.child.allow_null = False


class RequestSerializer(serializers.Serializer[Any]):
    """A shape that is read from a request body. Unknown members are ignored.

    Clients write null for what they leave out. Where it is no value of a member, it is as if the
    member were not there.
    """

    takes_null_as_absent: ClassVar[bool] = True
    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": "Must be an object."}

    class Meta:
        """Says what ``many`` makes."""

        list_serializer_class = RequestListSerializer

    def to_internal_value(self, data: Any) -> Any:
        """Read the members. Raises ``ValidationError``."""
        if self.takes_null_as_absent and isinstance(data, dict):
            absent = {name for name, field in self.fields.items() if not field.allow_null}
            if any(data.get(name, ...) is None for name in absent):
                data = {k: v for k, v in data.items() if v is not None or k not in absent}
        return super().to_internal_value(data)


class ExactRequestSerializer(RequestSerializer):
    """A shape without which too much would happen: unknown members are refused.

    For requests of our own that destroy, restore, move or open something: one that is misspelt
    would leave out what was to hold them back. So would null where it is no value. What clients of
    Harbor send along, and means nothing, is named in ``sent_along``.
    """

    takes_null_as_absent = False
    sent_along: ClassVar[frozenset[str]] = frozenset()

    def to_internal_value(self, data: Any) -> Any:
        """Read the members. Raises ``BadRequest`` naming one that is not known."""
        given = set(data) if isinstance(data, dict) else set()
        unknown = sorted(map(str, given - set(self.fields) - self.sent_along))
        if unknown:
            where = f"{self.field_name}." if self.field_name else ""
            name = f"{where}{unknown[0][:64]}"
            raise BadRequest(f"{name} is not known; known are {', '.join(self.fields)}.")
        return super().to_internal_value(data)


class ErrorSerializer(serializers.Serializer[Any]):
    """One error."""

    code = serializers.CharField()
    message = serializers.CharField()


class ErrorsSerializer(serializers.Serializer[Any]):
    """The body of every error response."""

    # Serializer has an attribute of that name, which this shape never needs.
    errors = ErrorSerializer(many=True)  # type: ignore[assignment]  # the stubs are narrower
