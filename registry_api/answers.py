"""Answers of pulls, whose headers are written out once and not for each request."""

from collections.abc import Iterable

from starlette.responses import Response

Headers = Iterable[tuple[bytes, bytes]]


class Answer(Response):
    """A complete answer with headers as they go over the network, names in lower case."""

    def __init__(self, body: bytes, status: int, headers: Headers) -> None:
        self.status_code = status
        self.body = body
        self.raw_headers = list(headers)
        self.background = None
