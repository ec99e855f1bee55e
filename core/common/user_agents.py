"""Which program pulls, by the User-Agent header it sends."""

from functools import lru_cache
from typing import Final

OTHER: Final = "other"

# By the beginning of the first product, in lower case. Podman calls itself libpod, and CRI-O
# pulls for kubelets alone; `containers/` is the library that several programs leave unnamed.
_FAMILIES: Final = (
    ("docker/", "docker"),
    ("containerd/", "containerd"),
    ("podman/", "podman"),
    ("libpod/", "podman"),
    ("skopeo/", "skopeo"),
    ("helm/", "helm"),
    ("oras/", "oras"),
    ("kubelet/", "kubelet"),
    ("cri-o/", "kubelet"),
)

FAMILIES: Final = (*dict.fromkeys(family for _, family in _FAMILIES), OTHER)
"""Every answer of ``client_family``."""


@lru_cache(maxsize=1_024)
def client_family(user_agent: str) -> str:
    """Return the family of clients that a User-Agent header belongs to; ``other`` for the rest."""
    product = user_agent.lstrip().lower()
    return next((family for start, family in _FAMILIES if product.startswith(start)), OTHER)
