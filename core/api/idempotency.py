"""``Idempotency-Key``: a POST that is sent twice is carried out once.

The key is remembered with the caller and a keyed hash of the request, in the transaction of the
write. A repetition gets the recorded response. One that comes while the first is under way waits
for that transaction and is then 409 until the response is recorded. A refused request leaves
nothing, so it may be sent again under the same key.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.db import connection
from django.utils.crypto import salted_hmac
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.errors import BadRequest, UnprocessableEntity
from core.api.models import IdempotentRequest
from core.common.clock import now
from core.common.errors import DomainError, ErrorKind
from core.rbac.types import Actor

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
_SALT = "core.api.idempotency"
MAXIMUM_BODY_CHARACTERS = 65_536
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_SECRET = re.compile(r"secret|token|password", re.IGNORECASE)


class RequestRepeated(DomainError):
    """The request was carried out, or is being carried out, and its response cannot be shown."""

    code = "REQUEST_REPEATED"
    kind = ErrorKind.CONFLICT
    default_message = "A request with this Idempotency-Key has been carried out already."


class IdempotentPost:
    """One POST under a key: asks for its record, makes it, completes it."""

    def __init__(self, request: Request, actor: Actor) -> None:
        """Read the key. Raises ``BadRequest`` for a malformed one or an unknown caller."""
        key = request.headers[HEADER]
        if _KEY.fullmatch(key) is None:
            raise BadRequest(f"{HEADER} must be 1 to 255 printable ASCII characters.")
        if actor.is_anonymous:
            raise BadRequest(f"{HEADER} needs credentials: keys belong to their caller.")
        sent = request._request
        self.key_hash = _digest(actor.subject, str(actor.token_id), key)
        self.request_hash = _digest(sent.get_full_path(), sent.content_type or "", sent.body)
        self._is_recorded = False

    def earlier_response(self) -> Response | None:
        """Return the response of an earlier request, None when there was none.

        Raises ``UnprocessableEntity`` when the key was used for another request, and
        ``RequestRepeated`` when the response cannot be shown.
        """
        found = IdempotentRequest.objects.filter(
            key_hash=self.key_hash, created_at__gt=now() - KEPT
        ).first()
        if found is None:
            return None
        if bytes(found.request_hash) != self.request_hash:
            raise UnprocessableEntity(f"The {HEADER} was used for another request.")
        if found.status is None:
            raise RequestRepeated(
                "The request has been carried out already; its response is not kept, because it "
                "shows a secret, is too large, or got lost.",
                retry_after_seconds=1,
            )
        response = Response(json.loads(found.body) if found.body else None, status=found.status)
        if found.location:
            response["Location"] = found.location
        response["Idempotency-Replayed"] = "true"
        return response

    def record(self) -> None:
        """Write the row in the transaction of the write. Raises ``RequestRepeated``."""
        at = now()
        IdempotentRequest.objects.filter(key_hash=self.key_hash, created_at__lte=at - KEPT).delete()
        with connection.cursor() as cursor:
            # Waits for another transaction that writes the same key.
            cursor.execute(
                "INSERT INTO api_idempotentrequest"
                " (key_hash, request_hash, location, body, created_at)"
                " VALUES (%s, %s, '', '', %s) ON CONFLICT (key_hash) DO NOTHING",
                [self.key_hash, self.request_hash, at],
            )
            if cursor.rowcount == 0:
                raise RequestRepeated(retry_after_seconds=1)
        self._is_recorded = True

    def complete(self, response: Response) -> None:
        """Keep the response of a write that was recorded, unless it shows a secret."""
        if not self._is_recorded or not 200 <= response.status_code < 300:
            return
        data = getattr(response, "data", None)
        body = "" if data is None else JSONRenderer().render(data).decode()
        if shows_secret(data) or len(body) > MAXIMUM_BODY_CHARACTERS:
            return
        IdempotentRequest.objects.filter(key_hash=self.key_hash).update(
            status=response.status_code, location=response.get("Location", ""), body=body
        )


def shows_secret(data: Any) -> bool:
    """Tell whether any member whose name speaks of a secret has a value."""
    if isinstance(data, Mapping):
        return any(
            (bool(value) and _SECRET.search(str(name)) is not None) or shows_secret(value)
            for name, value in data.items()
        )
    return isinstance(data, list) and any(shows_secret(item) for item in data)


def delete_expired(at: datetime) -> int:
    """Remove the records that are older than a day; return how many."""
    return IdempotentRequest.objects.filter(created_at__lte=at - KEPT).delete()[0]


def _digest(*parts: str | bytes) -> bytes:
    whole = sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        whole.update(len(content).to_bytes(8, "big") + content)
    # A body may hold a password: nobody who reads the table can try one out without the key.
    return salted_hmac(_SALT, whole.digest(), algorithm="sha256").digest()
