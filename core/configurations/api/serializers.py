"""Shapes of run-time settings on the wire."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from core.api.fields import RequestSerializer, TextField
from core.system_settings.types import DECLARED, DEFAULTS, FIXED, Declared, Settings


class BooleanItemSerializer(serializers.Serializer[Any]):
    """Harbor's ``BoolConfigItem``."""

    value = serializers.BooleanField()
    editable = serializers.BooleanField()


class IntegerItemSerializer(serializers.Serializer[Any]):
    """Harbor's ``IntegerConfigItem``."""

    value = serializers.IntegerField()
    editable = serializers.BooleanField()


class StringItemSerializer(serializers.Serializer[Any]):
    """Harbor's ``StringConfigItem``."""

    value = serializers.CharField(allow_blank=True)
    editable = serializers.BooleanField()


class ScanAllPolicySerializer(serializers.Serializer[Any]):
    """Harbor's ``ScanAllPolicy``."""

    type = serializers.CharField()


_ITEMS = {bool: BooleanItemSerializer, int: IntegerItemSerializer, str: StringItemSerializer}


class ConfigurationsSerializer(serializers.Serializer[Any]):
    """Harbor's ``ConfigurationsResponse``: each key with its value, and whether it can change."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return one field for each key."""
        shown = {**asdict(DEFAULTS), **FIXED}
        fields: dict[str, serializers.Field[Any, Any, Any, Any]] = {
            key: _ITEMS[type(value)](help_text=_help(key))
            for key, value in sorted(shown.items())
            if not isinstance(value, dict)
        }
        return {**fields, "scan_all_policy": ScanAllPolicySerializer()}


class ConfigurationsRequestSerializer(RequestSerializer):
    """Harbor's ``Configurations``: a flat map of what is to change.

    Only documents the shape; ``core.system_settings.rules`` decides about keys and values.
    """

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return one field for each setting that can be changed."""
        return {key: _value_field(key, declared) for key, declared in DECLARED.items()}


def shown(settings: Settings) -> dict[str, Any]:
    """Return every key of Harbor's, and ours, with its value."""
    editable = {key: _item(value, editable=True) for key, value in asdict(settings).items()}
    fixed = {key: _item(value, editable=False) for key, value in FIXED.items()}
    return dict(sorted((editable | fixed).items())) | {"scan_all_policy": FIXED["scan_all_policy"]}


def _item(value: Any, *, editable: bool) -> dict[str, Any]:
    return {"value": value, "editable": editable}


def _help(key: str) -> str:
    declared = DECLARED.get(key)
    return declared.help if declared else "Its feature is not available; it cannot be changed."


def _value_field(key: str, declared: Declared) -> serializers.Field[Any, Any, Any, Any]:
    options: dict[str, Any] = {"required": False, "allow_null": True, "help_text": declared.help}
    kind = type(getattr(DEFAULTS, key))
    if kind is int:
        least = declared.minimum if declared.special is None else declared.special
        return serializers.IntegerField(min_value=least, max_value=declared.maximum, **options)
    if declared.choices:
        return serializers.ChoiceField(declared.choices, **options)
    if kind is bool:
        return serializers.BooleanField(**options)
    return TextField(max_length=declared.maximum_length, allow_blank=True, **options)
