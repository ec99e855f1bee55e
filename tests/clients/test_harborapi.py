"""The `harborapi` package from PyPI, unmodified, against a real server."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator

import pytest
from harborapi import HarborAsyncClient
from harborapi.exceptions import Conflict, Forbidden, HarborAPIException, NotFound, Unauthorized
from harborapi.models import (
    Access,
    Configurations,
    CVEAllowlist,
    ImmutableRule,
    ImmutableSelector,
    Label,
    ProjectReq,
    QuotaUpdateReq,
    Robot,
    RobotCreate,
    RobotPermission,
    Schedule,
    Tag,
    UserCreationReq,
)
from harborapi.models.models import (
    ConfigurationsResponse,
    CVEAllowlistItem,
    ProjectMetadata,
    ResourceList,
)

from tests.clients.images import Image, make_image
from tests.clients.management import PASSWORD, unique
from tests.clients.protocol import Account, Registry
from tests.support.server import RunningServer

pytestmark = pytest.mark.server

REPOSITORY = "team/app"
RULE = ImmutableRule(
    action="immutable",
    template="immutable_template",
    tag_selectors=[ImmutableSelector(kind="doublestar", decoration="matches", pattern="v*")],
    scope_selectors={
        "repository": [ImmutableSelector(kind="doublestar", decoration="repoMatches", pattern="**")]
    },
)


class Api:
    """Makes clients of the package, and closes them when a scenario is over."""

    def __init__(self, address: str, administrator: Account) -> None:
        self._address = address
        self._administrator = administrator
        self._made: list[HarborAsyncClient] = []

    def __call__(self, account: Account | None = None) -> HarborAsyncClient:
        """Return a client for an account, the administrator by default."""
        who = account or self._administrator
        client = HarborAsyncClient(self._address, who.username, who.secret, retry=None)
        self._made.append(client)
        return client

    def run(self, scenario: Callable[[], Coroutine[None, None, None]]) -> None:
        """Carry out a scenario."""

        async def closing() -> None:
            try:
                await scenario()
            finally:
                for client in self._made:
                    await client.client.aclose()
                self._made.clear()

        asyncio.run(closing())


@pytest.fixture
def api(server: RunningServer, administrator: Account) -> Api:
    return Api(f"{server.url}/api/v2.0", administrator)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Let the package's own log be; a client makes it once for the process."""
    logging.getLogger("harborapi").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("harborapi").setLevel(logging.NOTSET)


def number_in(location: str) -> int:
    assert location.startswith("/api/v2.0/"), location
    return int(location.rpartition("/")[2])


def push(server: RunningServer, account: Account, project: str, image: Image) -> None:
    """Push an image as v1 over the registry protocol."""
    registry, name = Registry(server.registry, account), f"{project}/{REPOSITORY}"
    for layer in image.layers:
        registry.push_blob(name, layer.content)
    registry.push_blob(name, image.config)
    assert registry.push_manifest(name, "v1", image.manifest).status == 201


def robot_of(project: str) -> RobotCreate:
    access = [
        Access(resource=resource, action=action)
        for resource, action in (
            ("repository", "pull"),
            ("repository", "push"),
            ("artifact", "list"),
            ("tag", "create"),
        )
    ]
    return RobotCreate(
        name="ci",
        level="project",
        duration=30,
        permissions=[RobotPermission(kind="project", namespace=project, access=access)],
    )


def test_the_whole_scenario(server: RunningServer, api: Api) -> None:
    """A project from its creation to its deletion, everything in it made by the package."""
    project, user = unique("harborapi"), unique("alice")
    image = make_image()

    async def scenario() -> None:
        admin = api()
        assert await admin.ping() == "Pong"
        assert (await admin.health_check()).status == "healthy"
        info = await admin.get_system_info()
        assert (info.harbor_version or "").startswith("v2.")
        assert (await admin.get_current_user()).sysadmin_flag is True

        await people_and_project(admin, project, user)
        robot = await robot_account(admin, project)

        push(server, robot, project, image)
        await artifacts_and_tags(admin, api(robot), project, image.digest)
        await labels(admin, project)
        await quota(admin, server, robot, project)
        await immutability(admin, project)
        await configuration(admin, api(Account(user, PASSWORD)))
        await refusals(api, admin, project, user)
        await audit(admin, robot, project)
        await removal(admin, project, user)

    api.run(scenario)


async def people_and_project(admin: HarborAsyncClient, project: str, user: str) -> None:
    created = await admin.create_user(
        UserCreationReq(
            username=user, password=PASSWORD, email=f"{user}@example.org", realname="Alice"
        )
    )
    found = await admin.get_user_by_username(user)
    assert found.user_id == number_in(created)
    location = await admin.create_project(
        ProjectReq(project_name=project, metadata=ProjectMetadata(public="false"))
    )
    assert await admin.project_exists(project)
    assert not await admin.project_exists(f"{project}-not")
    read = await admin.get_project(project)
    # The package asks for the name in Location with a header of Harbor's.
    assert location == f"/api/v2.0/projects/{project}"
    assert read.metadata is not None
    assert read.metadata.public == "false"
    assert [one.name for one in await admin.get_projects(query=f"name={project}")] == [project]
    await admin.update_project(project, ProjectReq(metadata=ProjectMetadata(public="true")))
    assert (await admin.get_project(project)).metadata.public == "true"  # type: ignore[union-attr]
    member = number_in(await admin.add_project_member_user(project, user, 2))
    await admin.update_project_member_role(project, member, 3)
    assert (await admin.get_project_member(project, member)).role_name == "guest"
    names = [one.entity_name for one in await admin.get_project_members(project)]
    assert user in names
    assert (await admin.get_project_summary(project)).guest_count == 1


async def robot_account(admin: HarborAsyncClient, project: str) -> Account:
    created = await admin.create_robot(robot_of(project))
    assert created.id is not None
    assert created.name is not None
    assert created.name.endswith(f"{project}+ci")
    robot = await admin.get_robot(created.id)
    assert (robot.level, robot.duration, robot.disable) == ("project", 30, False)
    number = (await admin.get_project(project)).project_id
    listed = await admin.get_robots(query=f"Level=project,ProjectID={number}")
    assert [one.id for one in listed] == [created.id]
    changed = Robot(**{**robot.model_dump(exclude_none=True), "description": "for the build"})
    await admin.update_robot(created.id, changed)
    assert (await admin.get_robot(created.id)).description == "for the build"
    chosen = await admin.refresh_robot_secret(created.id, "Chosen-Secret-1")
    assert chosen.secret == ""
    rotated = await admin.refresh_robot_secret(created.id, "")
    assert rotated.secret not in (None, "", created.secret)
    return Account(created.name, str(rotated.secret))


async def artifacts_and_tags(
    admin: HarborAsyncClient, robot: HarborAsyncClient, project: str, digest: str
) -> None:
    assert [one.name for one in await admin.get_repositories(project)] == [
        f"{project}/{REPOSITORY}"
    ]
    repository = await admin.get_repository(project, REPOSITORY)
    assert repository.artifact_count == 1
    await robot.create_artifact_tag(project, REPOSITORY, "v1", Tag(name="v2"))
    (artifact,) = await robot.get_artifacts(project, REPOSITORY)
    assert (artifact.digest, artifact.type) == (digest, "IMAGE")
    assert {tag.name for tag in artifact.tags or ()} == {"v1", "v2"}
    assert (await admin.get_artifact(project, REPOSITORY, "v2")).digest == digest
    for number in range(12):
        await robot.create_artifact_tag(project, REPOSITORY, digest, Tag(name=f"n{number}"))
    # The package follows Link from page to page.
    tags = await admin.get_artifact_tags(project, REPOSITORY, "v1", page_size=5)
    assert len({tag.name for tag in tags}) == 14
    await admin.delete_artifact_tag(project, REPOSITORY, digest, "v2")
    with pytest.raises(NotFound):
        await admin.get_artifact(project, REPOSITORY, "v2")
    assert await admin.get_artifact_accessories(project, REPOSITORY, "v1") == []


async def labels(admin: HarborAsyncClient, project: str) -> None:
    number = (await admin.get_project(project)).project_id
    label = Label(name="approved", color="#00aa55", scope="p", project_id=number)
    made = number_in(await admin.create_label(label))
    await admin.update_label(made, Label(**{**label.model_dump(), "description": "by QA"}))
    assert (await admin.get_label(made)).description == "by QA"
    listed = await admin.get_labels(scope="p", project_id=number)
    assert [(one.id, one.name) for one in listed] == [(made, "approved")]
    await admin.add_artifact_label(project, REPOSITORY, "v1", Label(id=made))
    for query, count in ((f"labels=({made})", 1), (f"labels=({made + 1000})", 0)):
        found = await admin.get_artifacts(project, REPOSITORY, query=query, with_label=True)
        assert len(found) == count
    (artifact,) = await admin.get_artifacts(project, REPOSITORY, with_label=True)
    assert [one.name for one in artifact.labels or ()] == ["approved"]
    await admin.delete_artifact_label(project, REPOSITORY, "v1", made)
    assert not (await admin.get_artifact(project, REPOSITORY, "v1", with_label=True)).labels
    await admin.delete_label(made)
    assert await admin.get_labels(scope="p", project_id=number) == []


async def quota(
    admin: HarborAsyncClient, server: RunningServer, robot: Account, project: str
) -> None:
    number = (await admin.get_project(project)).project_id
    (found,) = await admin.get_quotas(reference="project", reference_id=str(number))
    assert found.id is not None
    assert found.used is not None
    used = found.used.model_dump()["storage"]
    assert used > 0
    await admin.update_quota(found.id, QuotaUpdateReq(hard=ResourceList({"storage": used})))
    changed = await admin.get_quota(found.id)
    assert changed.hard is not None
    assert changed.hard.model_dump()["storage"] == used
    registry, layer = Registry(server.registry, robot), make_image().layers[0]
    name = f"{project}/{REPOSITORY}"
    refused = registry.finish(registry.start_upload(name), layer.digest, layer.content)
    assert (refused.status, refused.json["errors"][0]["code"]) == (403, "DENIED")
    await admin.update_quota(found.id, QuotaUpdateReq(hard=ResourceList({"storage": -1})))
    registry.push_blob(name, layer.content)


async def immutability(admin: HarborAsyncClient, project: str) -> None:
    await admin.create_project_immutable_tag_rule(project, RULE)
    (stored,) = await admin.get_project_immutable_tag_rules(project)
    assert stored.id is not None
    artifact = await admin.get_artifact(project, REPOSITORY, "v1", with_immutable_status=True)
    assert {tag.name: tag.immutable for tag in artifact.tags or ()}["v1"] is True
    with pytest.raises(HarborAPIException) as refused:
        await admin.delete_artifact_tag(project, REPOSITORY, "v1", "v1")
    assert "PRECONDITION" in str(refused.value)
    await admin.enable_project_immutable_tagrule(project, stored.id, False)
    await admin.delete_artifact_tag(project, REPOSITORY, "n0", "v1")
    await admin.create_artifact_tag(project, REPOSITORY, "n0", Tag(name="v1"))
    await admin.delete_project_immutable_tag_rule(project, stored.id)
    assert await admin.get_project_immutable_tag_rules(project) == []


async def configuration(admin: HarborAsyncClient, user: HarborAsyncClient) -> None:
    def restriction(found: ConfigurationsResponse) -> tuple[str, bool]:
        item = found.project_creation_restriction
        assert item is not None
        return str(item.value), bool(item.editable)

    assert restriction(await admin.get_config()) == ("everyone", True)
    await admin.update_config(Configurations(project_creation_restriction="adminonly"))
    try:
        assert restriction(await admin.get_config()) == ("adminonly", True)
        with pytest.raises(Forbidden):
            await user.create_project(ProjectReq(project_name=unique("own")))
    finally:
        await admin.update_config(Configurations(project_creation_restriction="everyone"))
    own = unique("own")
    await user.create_project(ProjectReq(project_name=own))
    await user.delete_project(own)
    with pytest.raises(Forbidden):
        await user.get_config()


async def audit(admin: HarborAsyncClient, robot: Account, project: str) -> None:
    entries = await admin.get_project_logs(project, page_size=100)
    found = {(entry.operation, entry.resource_type) for entry in entries}
    assert found >= {
        *(("create", one) for one in ("project", "member", "robot", "artifact", "tag", "label")),
        *(("update", one) for one in ("project", "member", "robot", "label", "quota")),
        *(("delete", one) for one in ("tag", "label", "tag_rule")),
    }
    by_robot = await admin.get_project_logs(project, query=f"username={robot.username}")
    assert {entry.operation for entry in by_robot} >= {"create"}
    changed = await admin.get_audit_logs(query="resource_type=configuration", page_size=2, limit=2)
    assert [entry.resource for entry in changed] == ["project_creation_restriction"] * 2
    assert len(await admin.get_audit_logs(page_size=1, limit=3)) == 3


async def refusals(api: Api, admin: HarborAsyncClient, project: str, user: str) -> None:
    with pytest.raises(Conflict):
        await admin.create_project(ProjectReq(project_name=project))
    with pytest.raises(Unauthorized):
        await api(Account(user, "Wrong-horse-9")).get_current_user()
    with pytest.raises(Forbidden) as refused:
        await api(Account(user, PASSWORD)).delete_repository(project, REPOSITORY)
    assert refused.value.errors is not None
    with pytest.raises(HarborAPIException):
        await admin.delete_project(project)
    assert (await admin.get_project_deletable(project)).deletable is False


async def removal(admin: HarborAsyncClient, project: str, user: str) -> None:
    await admin.delete_artifact(project, REPOSITORY, "v1")
    await admin.delete_repository(project, REPOSITORY)
    for robot in await admin.get_robots(
        query=f"Level=project,ProjectID={(await admin.get_project(project)).project_id}"
    ):
        await admin.delete_robot(int(robot.id or 0))
    await admin.delete_project(project)
    assert not await admin.project_exists(project)
    await admin.delete_user((await admin.get_user_by_username(user)).user_id or 0)
    for resource in (project, user):
        entries = await admin.get_audit_logs(query=f"operation=delete,resource={resource}")
        assert len(entries) == 1, resource


def test_metadata_and_allowlists(api: Api, project: str) -> None:
    async def scenario() -> None:
        admin = api()
        await admin.set_project_metadata(project, ProjectMetadata(prevent_vul="true"))
        await admin.set_project_metadata(project, ProjectMetadata(severity="low"))
        await admin.update_project_metadata_entry(
            project, "severity", ProjectMetadata(severity="high")
        )
        metadata = await admin.get_project_metadata(project)
        assert (metadata.prevent_vul, metadata.severity) == ("true", "high")
        await admin.delete_project_metadata_entry(project, "severity")
        assert (await admin.get_project_metadata(project)).severity is None

        await admin.update_cve_allowlist(
            CVEAllowlist(items=[CVEAllowlistItem(cve_id="CVE-2026-0001")])
        )
        listed = await admin.get_cve_allowlist()
        assert [item.cve_id for item in listed.items or ()] == ["CVE-2026-0001"]
        await admin.update_cve_allowlist(CVEAllowlist(items=[]))

    api.run(scenario)


def test_what_comes_later_is_understood(api: Api, project: str) -> None:
    async def scenario() -> None:
        admin = api()
        assert await admin.get_registries() == []
        assert await admin.get_replication_policies() == []
        assert await admin.get_replications() == []
        assert await admin.get_registry_adapters() == []
        assert await admin.get_webhook_policies(project) == []
        assert await admin.get_webhook_policy_last_trigger(project) == []
        assert await admin.get_scanners() == []
        assert await admin.get_gc_jobs() == []
        assert await admin.get_purge_job_history() == []
        assert (await admin.get_scan_all_metrics()).ongoing is False
        assert (await admin.get_scan_exports()).items == []
        assert (await admin.get_retention_metadata()).templates == []
        for read in (admin.get_gc_schedule, admin.get_scan_all_schedule):
            found = (await read()).schedule
            assert found is not None
            assert found.type is not None
            assert found.type.value == "None"
        with pytest.raises(HarborAPIException) as refused:
            await admin.create_gc_schedule(Schedule())
        assert "NOT_IMPLEMENTED" in str(refused.value)

    api.run(scenario)
