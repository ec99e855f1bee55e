"""The form of a token request, and refusals as its senders understand them (RFC 6749)."""

import json
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.responses import Response

from registry_api.calls import Call
from registry_api.errors import RegistryError, to_response

MAX_FORM_BYTES: Final = 65_536
_MAX_FORM_FIELDS: Final = 1_024
_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_NOT_STORED: Final = {"Cache-Control": "no-store"}

Fields = Mapping[str, list[str]]


class OAuth2Error(Exception):
    """A refusal in the shape of RFC 6749, section 5.2, beside the registry's envelope."""

    def __init__(self, error: str, cause: RegistryError) -> None:
        self.error = error
        self.cause = cause
        super().__init__(cause.message)

    def response(self) -> Response:
        """Return the answer."""
        response = to_response(self.cause)
        members = {
            "error": self.error,
            "error_description": self.cause.message,
            **json.loads(bytes(response.body)),
        }
        headers = self.cause.headers | _NOT_STORED
        body = json.dumps(members, separators=(",", ":"))
        return Response(body, self.cause.status, headers, media_type="application/json")


async def receive_form(call: Call) -> Fields:
    """Return the fields of the body. Raises OAuth2Error when it is no form, or too long."""
    content_type = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _FORM_TYPE:
        message = f"The body must be {_FORM_TYPE}."
        raise _invalid_request(RegistryError("UNSUPPORTED", message, status=400))
    body = b""
    while not call.body_has_ended():
        body += await call.receive()
        if len(body) > MAX_FORM_BYTES:
            message = "The form is too long."
            raise _invalid_request(RegistryError("SIZE_INVALID", message, status=413))
    try:
        return parse_qs(
            body.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_FORM_FIELDS,
        )
    except ValueError as error:
        message = "The form cannot be read."
        raise _invalid_request(RegistryError("UNSUPPORTED", message, status=400)) from error


def _invalid_request(cause: RegistryError) -> OAuth2Error:
    return OAuth2Error("invalid_request", cause)


def first_of(fields: Fields, name: str) -> str:
    """Return the first value of a field, empty when there is none."""
    values: Iterable[str] = fields.get(name, ())
    return next(iter(values), "")
