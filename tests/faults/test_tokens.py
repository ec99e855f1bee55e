"""A token that expires in the middle of an upload: its owner goes on, others do not."""

import pytest

from tests.clients.management import Management
from tests.clients.protocol import Account, Registry
from tests.faults.aging import aged
from tests.faults.invariants import Store
from tests.faults.uploads import random_content, resume
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.slow]

FIRST, SECOND, ALL = 1_000_000, 2_000_000, 3_000_000
HOUR, DAY = 3_600, 86_400


class Bearer(Account):
    """Whoever has a registry token, which is the secret."""

    @property
    def authorization(self) -> str:
        """Value of the header."""
        return f"Bearer {self.secret}"


def token_for(registry: Registry, repository: str) -> Bearer:
    """Ask for a token as a client does that is about to push."""
    challenge = registry.as_account(None).request("GET", "/v2/").headers["www-authenticate"]
    service = challenge.partition('service="')[2].partition('"')[0]
    path = f"/service/token?service={service}&scope=repository:{repository}:pull,push"
    return Bearer("", registry.request("GET", path).json["token"])


def test_expires_during_an_upload(
    server: RunningServer, store: Store, registry: Registry, account: Account, repository: str
) -> None:
    project = repository.partition("/")[0]
    other = Management(server.registry, account).create_member(project, "maintainer")
    mine = token_for(registry, repository)
    foreign = token_for(registry.as_account(other), repository)
    content, digest = random_content(ALL)
    location = registry.as_account(mine).start_upload(repository)
    assert registry.as_account(mine).append(location, content[:FIRST], start=0).status == 202
    assert registry.as_account(foreign).upload_status(location).status == 404

    expired, too_old, of_another = (
        registry.as_account(Bearer("", aged(server, token.secret, seconds=seconds)))
        for token, seconds in ((mine, HOUR), (mine, HOUR + DAY), (foreign, HOUR))
    )

    assert expired.request("POST", f"/v2/{repository}/blobs/uploads/", body=b"").status == 401
    assert expired.request("GET", f"/v2/{repository}/tags/list").status == 401
    for stranger in (too_old, of_another):
        refused = stranger.append(location, content[FIRST:], start=FIRST)
        assert refused.status == 401, refused
        assert refused.json["errors"][0]["code"] == "UNAUTHORIZED"
    assert expired.append(location, content[FIRST:SECOND], start=FIRST).received == SECOND
    # The other process of the server knows the upload as well, and so does the next one.
    server.kill_web_processes()
    store.records.wait_until(lambda: bool(server.web_workers()), timeout=60)
    resume(expired, store, location, content, digest, acknowledged=SECOND)
    assert expired.finish(location, digest).status == 201
    assert registry.get_blob(repository, digest).body == content
