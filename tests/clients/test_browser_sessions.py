"""Logging in with a cookie over HTTP, as browsers and the scripts of Harbor's users do it."""

import json
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from tests.clients.management import PASSWORD, unique
from tests.clients.protocol import Account
from tests.support.server import RunningServer

pytestmark = pytest.mark.server

TOKEN = "X-Harbor-CSRF-Token"
PROJECTS = "/api/v2.0/projects"
CURRENT = "/api/v2.0/users/current"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; names of headers in any case."""

    status: int
    headers: Any
    body: bytes

    @property
    def code(self) -> str:
        """The code in Harbor's envelope of errors."""
        (error,) = json.loads(self.body)["errors"]
        assert set(error) == {"code", "message"}
        return str(error["code"])


@dataclass
class Browser:
    """Keeps the cookies that a server sets, and sends no other credentials by itself."""

    url: str
    cookies: CookieJar = field(default_factory=CookieJar)

    def send(
        self,
        method: str,
        path: str,
        *,
        form: dict[str, str] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Send one request and return the answer, whatever its status."""
        sent = dict(headers or {})
        data = None
        if form is not None:
            data = urlencode(form).encode()
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        elif body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        request = Request(self.url + path, data, sent, method=method)
        opener = build_opener(HTTPCookieProcessor(self.cookies))
        try:
            with opener.open(request, timeout=60) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except HTTPError as refused:
            with refused:
                return Reply(refused.status or 0, refused.headers, refused.read())

    def log_in(self, account: Account) -> Reply:
        """Send the form of the login page."""
        form = {"principal": account.username, "password": account.secret}
        return self.send("POST", "/c/login", form=form)

    @property
    def names(self) -> set[str]:
        """Names of the cookies that are kept."""
        return {cookie.name for cookie in self.cookies}


@pytest.fixture
def browser(server: RunningServer) -> Browser:
    return Browser(server.url)


def test_a_session_from_login_to_logout(browser: Browser, developer: Account) -> None:
    wrong = browser.log_in(Account(developer.username, "Wrong-horse-9"))
    assert (wrong.status, wrong.code, browser.names) == (401, "UNAUTHORIZED", set())
    # A browser would open its own dialogue.
    assert "WWW-Authenticate" not in wrong.headers

    begun = browser.log_in(developer)
    assert (begun.status, begun.body) == (200, b"")
    assert browser.names == {"sid", "_gorilla_csrf"}
    read = browser.send("GET", CURRENT)
    assert json.loads(read.body)["username"] == developer.username
    token = read.headers[TOKEN]
    assert token

    wanted = {"project_name": unique("by-cookie")}
    for headers in ({}, {TOKEN: "wrong"}, {TOKEN: token[:-1]}):
        refused = browser.send("POST", PROJECTS, body=wanted, headers=headers)
        assert (refused.status, refused.code) == (403, "FORBIDDEN")
        # Harbor's Terraform provider takes the token from the refusal and tries again.
        assert refused.headers[TOKEN] == token
    created = browser.send("POST", PROJECTS, body=wanted, headers={TOKEN.lower(): token})
    assert (created.status, created.body) == (201, b"")
    where = created.headers["Location"]
    assert browser.send("DELETE", where).status == 403
    assert browser.send("DELETE", where, headers={TOKEN: token}).status == 200

    (cookie,) = [one for one in browser.cookies if one.name == "sid"]
    assert browser.send("GET", "/c/log_out").status == 200
    assert browser.names == set()
    ended = browser.send("GET", CURRENT, headers={"Cookie": f"sid={cookie.value}"})
    assert (ended.status, ended.code) == (401, "UNAUTHORIZED")


def test_the_retry_of_terraform_is_accepted(browser: Browser, developer: Account) -> None:
    """It sends its session, and beside it, in a header of its own, the cookie of the refusal."""
    browser.log_in(developer)
    values = {cookie.name: str(cookie.value) for cookie in browser.cookies}
    address = urlsplit(browser.url)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=60)

    def post(*headers: tuple[str, str]) -> Any:
        body = json.dumps({"project_name": unique("by-terraform")}).encode()
        connection.putrequest("POST", PROJECTS)
        for name, value in (
            ("Cookie", f"sid={values['sid']}"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            *headers,
        ):
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        response.read()
        return response

    refused = post()
    assert refused.status == 403
    (cookie,) = [
        one for one in refused.headers.get_all("Set-Cookie") if one.startswith("_gorilla_csrf=")
    ]
    # What stands between the first two of these is what it sends back.
    value = cookie.partition(";")[0].split("=")[1]
    assert value == refused.headers[TOKEN]
    retried = post(("Cookie", f"_gorilla_csrf={value}"), (TOKEN, refused.headers[TOKEN]))
    assert retried.status == 201
    connection.close()


def test_basic_credentials_need_no_token(browser: Browser, developer: Account) -> None:
    basic = {"Authorization": developer.authorization}
    first = browser.send(
        "POST", PROJECTS, body={"project_name": unique("by-password")}, headers=basic
    )
    assert (first.status, TOKEN in first.headers, browser.names) == (201, False, set())
    # A cookie beside them changes nothing: it is the header that counts.
    assert browser.log_in(developer).status == 200
    assert browser.send("DELETE", first.headers["Location"]).status == 403
    assert browser.send("DELETE", first.headers["Location"], headers=basic).status == 200
    wrong = Account(developer.username, PASSWORD + "x").authorization
    assert browser.send("GET", CURRENT, headers={"Authorization": wrong}).status == 401
