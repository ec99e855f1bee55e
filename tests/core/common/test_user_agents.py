"""Which program pulls."""

import pytest

from core.common.user_agents import FAMILIES, client_family

pytestmark = pytest.mark.pure

CASES = {
    "docker/27.1 go/go1.22 os/linux arch/amd64 UpstreamClient(Docker-Client/27.1)": "docker",
    "containerd/v1.7.20": "containerd",
    "libpod/4.9.3": "podman",
    "podman/5.0": "podman",
    "skopeo/1.13.3": "skopeo",
    "Helm/3.15.2": "helm",
    "oras/1.2.0": "oras",
    "kubelet/v1.30": "kubelet",
    "cri-o/1.30.0 go/go1.22": "kubelet",
    "curl/8.0 docker/1": "other",
    "dockerish": "other",
    "": "other",
    "\u2028" * 200: "other",
}


def test_families_of_clients() -> None:
    assert {agent: client_family(agent) for agent in CASES} == CASES
    assert set(CASES.values()) == set(FAMILIES)
