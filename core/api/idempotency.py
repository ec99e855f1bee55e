"""``Idempotency-Key``: a POST that is sent twice is carried out once.

The key is remembered with the caller and a keyed hash of the request, in the transaction of the
request's first write: the row exists exactly when that write does. A success without any write
that stayed, such as a bulk action none of whose items was done, is remembered with its answer. A
refused request, which wrote nothing, leaves nothing, so it may be sent again under the same key.
In between holds:

- At most one request under a key is carried out at a time, however long it takes: it holds a lock
  of its database session until it is answered, and a repetition meanwhile is 409. The lock ends
  with the process.
- An answer that was recorded, whatever it says, is what every repetition gets for 24 hours. One
  that cannot be kept, because it shows a secret or is too large, makes repetitions 409, which
  name the place of what was made.
- The key of a request that ended without a recorded answer, because its process died or its
  answer asked to try again, is free ``ANSWERED_WITHIN`` after its first write. Until then
  ``Retry-After`` says when to ask again.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from math import ceil
from typing import Any, Final

import structlog
from django.db import Error, connection
from django.db.models import Q
from django.utils.crypto import salted_hmac
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.errors import BadRequest, UnprocessableEntity
from core.api.models import IdempotentRequest
from core.common.clock import now
from core.common.errors import DomainError, ErrorKind
from core.database import raw
from core.rbac.types import Actor

HEADER = "Idempotency-Key"
_REPLAYED: Final = "Idempotency-Replayed"
_UNDER_WAY: Final = f"A request with this {HEADER} is being carried out"
KEPT = timedelta(hours=24)
ANSWERED_WITHIN: Final = timedelta(minutes=5)
"""When a request that nobody carries out has no recorded answer by then, its key is free.

The lock alone would tell; the time is for a request whose session the database has ended, and who
goes on in another one.
"""
ASK_AGAIN_WITHIN: Final = 60
"""Seconds after which a client asks again at the latest, while a request is under way."""
_SALT = "core.api.idempotency"
MAXIMUM_BODY_CHARACTERS = 1 << 20
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_SECRET = re.compile(r"secret|token|password", re.IGNORECASE)
_ASKING_TO_TRY_AGAIN = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)

_RECORD = """
INSERT INTO api_idempotentrequest
       (key_hash, request_hash, location, body, is_withheld, created_at)
VALUES (%s, %s, '', '', false, %s) ON CONFLICT (key_hash) DO NOTHING RETURNING id
"""

# Of the session, not of a transaction: a copy or bulk action has many of these.
_HOLD = "SELECT pg_try_advisory_lock(%s)"
_LET_GO = "SELECT pg_advisory_unlock(%s)"

log = structlog.get_logger(__name__)


class RequestRepeated(DomainError):
    """The request was carried out, or is being carried out, and its response cannot be shown."""

    code = "REQUEST_REPEATED"
    kind = ErrorKind.CONFLICT
    default_message = "A request with this Idempotency-Key has been carried out already."


class IdempotentPost:
    """One POST under a key: holds the key, asks for its record, makes it, completes it."""

    def __init__(self, request: Request, actor: Actor) -> None:
        """Read the key. Raises ``BadRequest`` for a malformed one or an unknown caller."""
        key = request.headers[HEADER]
        if _KEY.fullmatch(key) is None:
            raise BadRequest(f"{HEADER} must be 1 to 255 printable ASCII characters.")
        if actor.is_anonymous:
            raise BadRequest(f"{HEADER} needs credentials: keys belong to their caller.")
        sent = request._request
        self.key_hash = _digest(actor.subject, str(actor.token_id), key)
        path, *query = sent.get_full_path().split("?", 1)
        # A slash at the end of a path changes nothing.
        where = "?".join((path.removesuffix("/"), *query))
        self.request_hash = _digest(where, sent.content_type or "", sent.body)
        self._record_id: int | None = None
        self._lock = int.from_bytes(self.key_hash[:8], "big", signed=True)
        self._is_held = False

    def hold(self) -> None:
        """Take the key for as long as this request lives, unless another one has it."""
        row = raw.fetch_one(_HOLD, (self._lock,))
        self._is_held = row is not None and bool(row[0])

    def let_go(self) -> None:
        """Leave the key to others; without a database its session ends, and the lock with it."""
        if not self._is_held:
            return
        try:
            row = raw.fetch_one(_LET_GO, (self._lock,))
            if row is None or not row[0]:
                # The session was another one, so others may have had the key meanwhile.
                log.warning("idempotency_key_was_lost")
        except Error as error:
            log.warning("idempotency_key_not_let_go", exc_info=error)
            connection.close()

    def earlier_response(self) -> Response | None:
        """Return the response of an earlier request, None when there was none.

        Raises ``UnprocessableEntity`` when the key was used for another request, and
        ``RequestRepeated`` when the response is not known yet or was not kept.
        """
        at = now()
        # Who does not hold the key looks at a request that lives, however old its record is.
        over = _is_over(at) if self._is_held else _is_old(at)
        found = IdempotentRequest.objects.filter(~over, key_hash=self.key_hash).first()
        if found is None:
            if not self._is_held:
                raise RequestRepeated(f"{_UNDER_WAY}.", retry_after_seconds=1)
            return None
        if bytes(found.request_hash) != self.request_hash:
            raise UnprocessableEntity(f"The {HEADER} was used for another request.")
        if found.status is None:
            raise self._unanswered(found, at)
        if found.is_withheld:
            made = f" See {found.location}." if found.location else ""
            raise RequestRepeated(
                f"The request has been carried out already, with status {found.status}; its "
                f"response is not kept, because it shows a secret or is too large.{made}"
            )
        response = Response(json.loads(found.body) if found.body else None, status=found.status)
        if found.location:
            response["Location"] = found.location
        response[_REPLAYED] = "true"
        return response

    def _unanswered(self, found: IdempotentRequest, at: datetime) -> RequestRepeated:
        """Return the refusal of a repetition: ask again soon at first, later when it takes long."""
        waited = max(1, ceil((at - found.created_at).total_seconds()))
        if not self._is_held:
            return RequestRepeated(
                f"{_UNDER_WAY}.", retry_after_seconds=min(waited, ASK_AGAIN_WITHIN)
            )
        left = max(1, ceil((found.created_at + ANSWERED_WITHIN - at).total_seconds()))
        return RequestRepeated(
            f"{_UNDER_WAY}, or its response got lost. "
            f"In the latter case it can be sent again after {left} seconds.",
            retry_after_seconds=min(waited, left),
        )

    def record(self) -> None:
        """Write the row in the transaction of the write. Raises ``RequestRepeated``."""
        self._record_id = self._inserted()
        if self._record_id is None:
            raise RequestRepeated(retry_after_seconds=1)

    def _inserted(self) -> int | None:
        """Write the row and return its id, None when another request has the key."""
        at = now()
        IdempotentRequest.objects.filter(_is_over(at), key_hash=self.key_hash).delete()
        # Waits for another transaction that writes the same key.
        rows = raw.fetch_changed(_RECORD, (self.key_hash, self.request_hash, at))
        return int(rows[0][0]) if rows else None

    def complete(self, response: Response) -> None:
        """Keep the response of a request that was recorded, and any success.

        Nothing is kept of a refused request that was undone. Without a database the response
        stays unknown: what was carried out is answered all the same.
        """
        if _REPLAYED in response or response.status_code in _ASKING_TO_TRY_AGAIN:
            return
        try:
            if not self._fill(response) and response.status_code < HTTPStatus.BAD_REQUEST:
                # No write was needed, or each was undone, and the row with it.
                self._record_id = self._inserted()
                self._fill(response)
        except Error as error:
            log.error("idempotent_response_lost", exc_info=error)

    def _fill(self, response: Response) -> bool:
        """Write the response into the row; tell whether there is one that waits for it."""
        if self._record_id is None:
            return False
        data = getattr(response, "data", None)
        body = "" if data is None else JSONRenderer().render(data).decode()
        is_withheld = shows_secret(data) or len(body) > MAXIMUM_BODY_CHARACTERS
        waiting = IdempotentRequest.objects.filter(pk=self._record_id, status=None)
        number = waiting.update(
            status=response.status_code,
            location=response.get("Location", ""),
            body="" if is_withheld else body,
            is_withheld=is_withheld,
        )
        return number > 0


def _is_old(at: datetime) -> Q:
    """Select the records that count no more, whoever asks."""
    return Q(created_at__lte=at - KEPT)


def _is_over(at: datetime) -> Q:
    """Select the records that count no more for a request that holds the key."""
    return _is_old(at) | Q(status=None, created_at__lte=at - ANSWERED_WITHIN)


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
    return IdempotentRequest.objects.filter(_is_old(at)).delete()[0]


def _digest(*parts: str | bytes) -> bytes:
    whole = sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        whole.update(len(content).to_bytes(8, "big") + content)
    # A body may hold a password: nobody who reads the table can try one out without the key.
    return salted_hmac(_SALT, whole.digest(), algorithm="sha256").digest()
