"""Part "tokens": how fast tokens are issued, beside the cheapest use of one."""

from collections.abc import Callable

from bench.client import Client
from bench.content import ContentMaker, make_image
from bench.measure import Sample, Side, alternate
from bench.pusher import Pusher
from bench.results import Better, Goal, Row, Section
from bench.servers import PULL, PULL_AND_PUSH
from bench.setting import Setting, rate

# How long a turn is for so many connections, as a share of a round, and how many a round has. What
# is compared costs nearly the same: many short turns tell it apart, but one over many connections
# has to be longer than it takes until all of them are at work.
TURNS = {1: (0.02, 300), 32: (0.1, 60)}
LEAST_RATIO = 1.0


def measure_tokens(setting: Setting) -> Section:
    """Measure tokens for a robot and for a password, and HEAD of a manifest by tag, in turn."""
    server = setting.roadstead
    repository = server.repository("tokens")
    with Pusher(server.address) as pusher:
        headers = server.headers(repository, PULL_AND_PUSH)
        pusher.push_image(repository, make_image(ContentMaker(1_500)), headers)
    _warm_up(setting, repository)
    rows = [row for connections in TURNS for row in _rows(setting, repository, connections)]
    notes = [
        "The password is that of a developer of the project. It has been verified before, as on "
        "every login but the first in a while."
    ]
    return Section("Tokens", "token", "HEAD manifest", rows, notes)


def _warm_up(setting: Setting, repository: str) -> None:
    """Let every web process verify the password once, whichever the rounds will reach."""
    server = setting.roadstead
    path = server.token_path(f"repository:{repository}:pull")
    for login in (server.robot, server.developer):
        setting.send(server, "GET", path, login.headers, max(TURNS))


def _rows(setting: Setting, repository: str, connections: int) -> list[Row]:
    server = setting.roadstead
    manifest = f"/v2/{repository}/manifests/latest"
    token = server.token_path(f"repository:{repository}:pull")
    requests = [
        setting.request(server, "HEAD", manifest, server.headers(repository, PULL)),
        setting.request(server, "GET", token, server.robot.headers),
        setting.request(server, "GET", token, server.developer.headers),
    ]
    share, turns = TURNS[connections]
    seconds = setting.seconds * share
    # The same connections for all: how they are spread over the web processes is chance.
    with Client(server.address, connections) as client:

        def sending(request: bytes) -> Callable[[], Sample]:
            return lambda: rate(client.drive([request], seconds))

        sides = [Side(server.pid, sending(request)) for request in requests]
        baseline, robot, password = alternate(sides, setting.rounds * turns)
    goal = Goal(LEAST_RATIO, Better.HIGHER)
    return [
        Row(f"Token for {who}, c={connections}", "requests/s", measured, baseline, goal)
        for who, measured in (("a robot", robot), ("a password", password))
    ]
