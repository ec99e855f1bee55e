"""What the configuration of an artifact says of it, as Harbor's API shows it.

Configurations come from whoever pushes, so nothing in them is believed to have a certain shape:
what has another is left out.
"""

import json
from typing import Final

from core.oci.errors import ManifestInvalid
from core.oci.media_types import (
    IMAGE_CONFIG_TYPES,
    OCI_EMPTY,
    ArtifactKind,
)
from core.oci.strict_json import parse_object

MAXIMUM_CONFIG_BYTES: Final = 1 << 20
"""A larger configuration is not looked into."""

MAXIMUM_ATTRIBUTES_BYTES: Final = 64 << 10
"""How much of it is kept for lists."""

MAXIMUM_HISTORY: Final = 10_000

_IMAGE_TEXTS: Final = ("architecture", "os", "variant", "author", "created")
_LARGE: Final = ("config", "files", "dependencies", "annotations")


def says_nothing(config_media_type: str | None) -> bool:
    """Tell whether a configuration of that type has nothing to show, whatever it holds."""
    return config_media_type in (None, OCI_EMPTY)


def extra_attributes(
    kind: ArtifactKind, config_media_type: str, payload: bytes
) -> dict[str, object]:
    """Return what lists show of a configuration: small, and empty when it is no JSON object.

    Of an image its platform, author, time and run-time options; of a chart the fields of its
    Chart.yaml; of anything else the configuration itself.
    """
    document = _object(payload)
    if kind is ArtifactKind.IMAGE or config_media_type in IMAGE_CONFIG_TYPES:
        found: dict[str, object] = {
            name: document[name]
            for name in _IMAGE_TEXTS
            if isinstance(document.get(name), str) and document[name]
        }
        if isinstance(document.get("config"), dict):
            found["config"] = document["config"]
        document = found
    for name in _LARGE:
        if _is_small(document):
            break
        document.pop(name, None)
    return document if _is_small(document) else {}


def image_labels(config_media_type: str | None, payload: bytes) -> dict[str, str]:
    """Return the labels in the configuration of an image; nothing else has any."""
    if config_media_type not in IMAGE_CONFIG_TYPES:
        return {}
    config = _object(payload).get("config")
    labels = config.get("Labels") if isinstance(config, dict) else None
    if not isinstance(labels, dict):
        return {}
    return {name: text for name, text in labels.items() if isinstance(text, str)}


def build_history(payload: bytes) -> list[object]:
    """Return the steps in which an image was built, the oldest first."""
    history = _object(payload).get("history")
    if not isinstance(history, list):
        return []
    return [step for step in history[:MAXIMUM_HISTORY] if isinstance(step, dict)]


def chart_name(payload: bytes) -> str | None:
    """Return the name that a chart gives itself."""
    name = _object(payload).get("name")
    return name if isinstance(name, str) else None


def chart_dependencies(payload: bytes) -> list[dict[str, str]]:
    """Return name, version and repository of the charts that a chart builds on."""
    listed = _object(payload).get("dependencies")
    if not isinstance(listed, list):
        return []
    return [
        {
            name: value
            for name in ("name", "version", "repository")
            if isinstance(value := dependency.get(name), str)
        }
        for dependency in listed
        if isinstance(dependency, dict)
    ]


def _object(payload: bytes) -> dict[str, object]:
    try:
        return parse_object(payload)
    except ManifestInvalid:
        return {}


def _is_small(document: dict[str, object]) -> bool:
    return len(json.dumps(document)) <= MAXIMUM_ATTRIBUTES_BYTES
