"""Ends a view's method early, with an answer that it did not make."""

from django.http.response import HttpResponseBase


class Answered(Exception):
    """The answer is another than the method returns: an earlier response, or a whole list."""

    def __init__(self, response: HttpResponseBase) -> None:
        self.response = response
        super().__init__()
