"""People and groups over the management API."""

import pytest

from core.users.models import User
from core.users.queries import find_user
from tests.core.api.cast import (
    Caller,
    Cast,
    basic,
    bearer,
    body_of,
    errors_of,
    make_cast,
    rows_of,
)
from tests.factories.members import make_group
from tests.factories.users import PASSWORD, make_user

TIME = r"2026-01-01T00:00:00.000Z"


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def test_a_user_is_created_read_changed_and_deleted(cast: Cast) -> None:
    admin = cast["admin"]
    created = admin.post(
        "/users",
        {
            "username": "eve",
            "password": PASSWORD,
            "email": "eve@example.org",
            "realname": "Eve",
            "comment": "new",
        },
    )
    assert (created.status_code, created.content) == (201, b"")
    user = User.objects.get(username="eve")
    assert created["Location"] == f"/api/v2.0/users/{user.pk}"
    path = f"/users/{user.pk}"
    shown = body_of(admin.get(path))
    assert len(shown.pop("creation_time")) == len(TIME)
    assert len(shown.pop("update_time")) == len(TIME)
    assert shown == {
        "user_id": user.pk,
        "username": "eve",
        "email": "eve@example.org",
        "realname": "Eve",
        "comment": "new",
        "sysadmin_flag": False,
        "admin_role_in_auth": False,
    }
    changed = admin.put(path, {"email": "", "realname": "Eva"})
    assert (changed.status_code, changed.content) == (200, b"")
    shown = body_of(admin.get(path))
    assert "email" not in shown
    assert (shown["realname"], shown["comment"]) == ("Eva", "new")
    assert admin.put(f"{path}/sysadmin", {"sysadmin_flag": True}).status_code == 200
    assert body_of(admin.get(path))["sysadmin_flag"] is True
    assert admin.delete(path).status_code == 200
    assert admin.get(path).status_code == 404


def test_two_users_share_no_email(cast: Cast) -> None:
    admin, guest = cast["admin"], cast["guest"]
    body = {"username": "new", "password": PASSWORD, "email": "Alice@example.org"}
    assert admin.post("/users", body).status_code == 201
    again = {"email": "alice@EXAMPLE.org", "realname": "G"}
    own = f"/users/{cast.users['guest'].pk}"
    refused = [
        admin.post("/users", {**body, **again, "username": "other"}),
        guest.put(own, again),
        admin.put(own, again),
    ]
    for response in refused:
        assert response.status_code == 409
        (error,) = errors_of(response)
        assert (error["code"], "email" in error["message"]) == ("CONFLICT", True)
    shown = body_of(guest.get(own))
    assert (shown.get("email"), shown.get("realname")) == (None, None)
    # Everybody else may have none, and anybody may write their own in another way.
    assert guest.put(own, {"email": ""}).status_code == 200
    created = User.objects.get(username="new")
    assert admin.put(f"/users/{created.pk}", {"email": "ALICE@example.org"}).status_code == 200


def test_a_new_user_can_log_in_and_is_current(cast: Cast) -> None:
    cast["admin"].post("/users", {"username": "eve", "password": PASSWORD})
    eve = Caller("eve", basic("eve", PASSWORD))
    assert body_of(eve.get("/users/current"))["username"] == "eve"


def test_ones_own_password_needs_the_old_one(cast: Cast) -> None:
    path = f"/users/{cast.users['guest'].pk}/password"
    guest = cast["guest"]
    wrong = guest.put(path, {"old_password": "Wrong-horse-1", "new_password": "Other-horse-2"})
    assert wrong.status_code == 403
    same = guest.put(path, {"old_password": PASSWORD, "new_password": PASSWORD})
    assert same.status_code == 400
    weak = guest.put(path, {"old_password": PASSWORD, "new_password": "weak"})
    assert weak.status_code == 400
    assert "weak" not in errors_of(weak)[0]["message"]
    done = guest.put(path, {"old_password": PASSWORD, "new_password": "Other-horse-2"})
    assert done.status_code == 200
    assert guest.get("/users/current").status_code == 401
    again = Caller("guest", basic("guest", "Other-horse-2"))
    assert again.get("/users/current").status_code == 200


def test_a_token_cannot_change_the_password(cast: Cast) -> None:
    made = cast["guest"].post(
        "/users/current/tokens", {"name": "t", "scopes": ["management:write"]}
    )
    token = Caller("token", f"Bearer {body_of(made)['secret']}")
    path = f"/users/{cast.users['guest'].pk}/password"
    body = {"old_password": PASSWORD, "new_password": "Other-horse-2"}
    assert token.put(path, body).status_code == 403


def test_a_token_of_an_administrator_takes_over_nobody(cast: Cast) -> None:
    made = cast["admin"].post(
        "/users/current/tokens", {"name": "t", "scopes": ["management:write"]}
    )
    token = bearer(body_of(made)["secret"])
    other = make_user("other", is_system_admin=True)
    for user in (cast.users["guest"], other):
        path = f"/users/{user.pk}"
        assert token.put(f"{path}/sysadmin", {"sysadmin_flag": True}).status_code == 403
        password = token.put(f"{path}/password", {"new_password": "Other-horse-2"})
        assert password.status_code == 403
    assert token.delete(f"/users/{other.pk}").status_code == 403
    assert token.put(f"/users/{other.pk}", {"email": "x@example.org"}).status_code == 403
    guest = f"/users/{cast.users['guest'].pk}"
    assert token.put(guest, {"email": "x@example.org"}).status_code == 200
    assert token.delete(guest).status_code == 200
    own = f"/users/{cast.users['admin'].pk}"
    assert token.put(own, {"email": "x@example.org"}).status_code == 200


def test_a_robot_takes_over_nobody(cast: Cast) -> None:
    robot = cast["system_robot"]
    path = f"/users/{make_user('other', is_system_admin=True).pk}"
    assert robot.put(f"{path}/password", {"new_password": "Other-horse-2"}).status_code == 403
    assert robot.put(f"{path}/sysadmin", {"sysadmin_flag": False}).status_code == 403
    assert robot.put(path, {"email": "x@example.org"}).status_code == 403
    assert robot.delete(path).status_code == 403
    guest = f"/users/{cast.users['guest'].pk}"
    assert robot.put(f"{guest}/sysadmin", {"sysadmin_flag": True}).status_code == 403
    # Whoever sets the password of an account holds all that it will ever hold.
    refused = robot.put(f"{guest}/password", {"new_password": "Other-horse-2"})
    assert (refused.status_code, "passwords" in errors_of(refused)[0]["message"]) == (403, True)
    body = {"username": "made", "password": PASSWORD, "sysadmin_flag": True}
    made = f"/users/{robot.post('/users', body)['Location'].rpartition('/')[2]}"
    assert body_of(robot.get(made))["sysadmin_flag"] is False
    assert robot.put(f"{made}/password", {"new_password": "Other-horse-2"}).status_code == 403
    assert robot.put(guest, {"email": "x@example.org"}).status_code == 200
    assert robot.delete(guest).status_code == 200


def test_nobody_deletes_themselves_and_one_administrator_stays(cast: Cast) -> None:
    path = f"/users/{cast.users['admin'].pk}"
    assert cast["admin"].delete(path).status_code == 403
    assert cast["system_robot"].delete(path).status_code == 403
    demoted = cast["admin"].put(f"{path}/sysadmin", {"sysadmin_flag": False})
    assert demoted.status_code == 412


def test_lists_and_searches(cast: Cast) -> None:
    listed = cast["admin"].get("/users?q=username%3D~gue&sort=-username")
    assert [row["username"] for row in rows_of(listed)] == ["guest"]
    found = rows_of(cast["guest"].get("/users/search?username=OUT"))
    assert found == [{"user_id": cast.users["outsider"].pk, "username": "outsider"}]
    assert cast["guest"].get("/users/search").status_code == 422


def test_groups(cast: Cast) -> None:
    admin = cast["admin"]
    created = admin.post("/usergroups", {"group_name": "team", "group_type": 3})
    assert (created.status_code, created.content) == (201, b"")
    path = created["Location"]
    shown = body_of(admin.get(path))
    assert shown == {"id": shown["id"], "group_name": "team", "group_type": 3}
    assert admin.post("/usergroups", {"group_name": "team"}).status_code == 409
    assert admin.post("/usergroups", {"group_name": "x", "group_type": 1}).status_code == 400
    assert admin.put(path, {"group_name": "crew"}).status_code == 200
    assert [row["group_name"] for row in rows_of(admin.get("/usergroups?group_name=cr"))] == [
        "crew"
    ]
    searched = cast["guest"].get("/usergroups/search?groupname=rew")
    assert [row["group_name"] for row in rows_of(searched)] == ["crew"]
    assert cast["guest"].get("/usergroups/search").status_code == 422
    assert admin.delete(path).status_code == 200
    assert admin.get(path).status_code == 404


def test_the_users_of_a_group(cast: Cast) -> None:
    group, guest = make_group("team"), find_user("guest")
    assert guest is not None
    path = f"/usergroups/{group.pk}/users"
    added = cast["admin"].post(path, {"user_id": guest.pk})
    assert added["Location"] == f"/api/v2.0{path}/{guest.pk}"
    assert rows_of(cast["admin"].get(path)) == [{"user_id": guest.pk, "username": "guest"}]
    assert cast["admin"].delete(f"{path}/{guest.pk}").status_code == 200
    assert rows_of(cast["admin"].get(path)) == []
    assert cast["admin"].post(path, {"user_id": 10**12}).status_code == 404
