"""A client whose push broke off, and who simply pushes again."""

import shutil
from pathlib import Path

import pytest

from tests.clients.images import make_image, make_layer
from tests.clients.programs import Machine
from tests.clients.protocol import Account, Registry
from tests.clients.skopeo import Skopeo
from tests.faults.webs import ArmedWeb
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.client, pytest.mark.slow]


@pytest.mark.parametrize("failpoint", ["storage.write=kill@2", "upload.commit.in_transaction=kill"])
def test_skopeo_pushes_again(
    server: RunningServer,
    registry: Registry,
    account: Account,
    repository: str,
    tmp_path: Path,
    failpoint: str,
) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    image = make_image(layers=[make_layer(4_000_000), make_layer()])
    skopeo = Skopeo(Machine(tmp_path / "machine"))
    local = skopeo.take(image)

    with ArmedWeb(server, failpoint) as web:
        skopeo.log_in(web.address, account)
        broken = skopeo.push(local, f"{web.address}/{repository}:1", check=False)

    assert not broken.succeeded
    assert registry.head_manifest(repository, "1").status == 404
    skopeo.log_in(server.registry, account)
    skopeo.push(local, f"{server.registry}/{repository}:1")
    assert registry.digest_of(repository, "1") == image.digest
    registry.verify(repository, "1")
