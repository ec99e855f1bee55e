"""A server that speaks S3 over HTTP, in a process of its own, and a proxy that makes faults."""

import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from core.storage.s3.options import S3Options

PAGE_KEYS = 100
"""What one answer lists at most; 1,000 elsewhere."""
CREDENTIALS = {"access_key_id": "test-key", "secret_access_key": "test-secret"}

SERVER = """
import json, logging, sys
logging.getLogger("werkzeug").setLevel(logging.ERROR)
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
for line in sys.stdin:
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends
    bucket, upload, contents = json.loads(line)
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    parts = (
        backend.upload_part(bucket, upload, number, bytes.fromhex(content))
        for number, content in enumerate(contents, 1)
    )
    print(json.dumps([part.etag for part in parts]), flush=True)
"""


def options_for(url: str, bucket: str, **rest: object) -> S3Options:
    """Return options for a part of the bucket that no other test uses."""
    basic = S3Options(
        bucket,
        prefix=f"test-{uuid.uuid4().hex[:12]}/",
        endpoint_url=url,
        region="us-east-1",
        **CREDENTIALS,
    )
    return replace(basic, **rest)  # type: ignore[arg-type]


class S3Server:
    """A real HTTP server with buckets that live as long as it does."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Tests scale the sizes of parts and pages down; all is kept in one process.
            env={
                **os.environ,
                "S3_UPLOAD_PART_MIN_SIZE": "1",
                "MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE_KEYS),
            },
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def client(self, **config: Any) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=CREDENTIALS["access_key_id"],
            aws_secret_access_key=CREDENTIALS["secret_access_key"],
            config=Config(**config),
        )

    def new_bucket(self) -> str:
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return name

    def add_parts(self, bucket: str, multipart_id: str, contents: list[bytes]) -> list[str]:
        """Put the first parts into a multipart upload without a request each; return the ETags."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = [bucket, multipart_id, [content.hex() for content in contents]]
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        etags: list[str] = json.loads(self._process.stdout.readline())
        return etags

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=10)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()


@dataclass(frozen=True)
class SentRequest:
    """One request as it came to the proxy; ``operation`` is named as in the S3 reference."""

    operation: str
    method: str
    target: str
    headers: dict[str, str]
    body_bytes: int


Answer = tuple[int, list[tuple[str, str]], bytes]


class HasURL(Protocol):
    url: str


Server = TypeVar("Server", bound=HasURL)


@dataclass
class Fault:
    """What happens to the next ``times`` requests of an operation.

    ``action`` is one of the methods of ``FaultyHandler`` named ``do_fault_...``.
    """

    operation: str
    action: str
    times: int = 1
    argument: Any = None
    skip: int = 0


@dataclass
class Script:
    """Faults to come, and what was sent."""

    faults: list[Fault] = field(default_factory=list)
    requests: list[SentRequest] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_fault(self, operation: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.operation != operation or not fault.times:
                    continue
                if fault.skip:
                    fault.skip -= 1
                    return None
                fault.times -= 1
                return fault
        return None

    def operations(self) -> list[str]:
        return [request.operation for request in self.requests]


class QuietServer(ThreadingHTTPServer):
    """Says nothing of clients that leave; that is what some faults are about."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class FaultyProxy(Generic[Server]):
    """Forwards to a server, recording every request and making the faults of a script."""

    def __init__(
        self,
        server: Server,
        handler_class: "type[FaultyHandler] | None" = None,
        *,
        script: Script | None = None,
        certificate: Path | None = None,
    ) -> None:
        """Listen with TLS when there is a certificate, a file that has its key as well."""
        self.server = server
        self.script = script or Script()
        handler = type(
            "Handler",
            (handler_class or FaultyHandler,),
            {"script": self.script, "target": urlsplit(server.url).netloc},
        )
        self._proxy = QuietServer(("127.0.0.1", 0), handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._proxy.socket = context.wrap_socket(self._proxy.socket, server_side=True)
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._proxy.server_port}"
        self._thread = threading.Thread(target=self._proxy.serve_forever, args=(0.05,))
        self._thread.start()

    def fail(self, operation: str, action: str, *, times: int = 1, **rest: Any) -> Fault:
        fault = Fault(operation, action, times, **rest)
        self.script.faults.append(fault)
        return fault

    def stop(self) -> None:
        self._proxy.shutdown()
        self._proxy.server_close()
        self._thread.join()


def operation_of(method: str, target: str, headers: dict[str, str]) -> str:
    """Name a request as the S3 reference does, all operations that copy or list included."""
    parts = urlsplit(target)
    names = set(re.findall(r"(?:^|&)([A-Za-z-]+)", parts.query))
    has_key = "/" in parts.path.strip("/")
    if "x-amz-copy-source" in headers:
        return "UploadPartCopy" if "uploadId" in names else "CopyObject"
    table = {
        ("GET", True): "ListParts" if "uploadId" in names else "GetObject",
        ("HEAD", True): "HeadObject",
        ("PUT", True): "UploadPart" if "uploadId" in names else "PutObject",
        ("DELETE", True): "AbortMultipartUpload" if "uploadId" in names else "DeleteObject",
        ("POST", True): "CreateMultipartUpload"
        if "uploads" in names
        else "CompleteMultipartUpload",
        ("GET", False): "ListMultipartUploads" if "uploads" in names else "ListObjectsV2",
    }
    return table.get((method, has_key), f"{method} {target}")


class FaultyHandler(BaseHTTPRequestHandler):
    """Handles one connection of a client."""

    protocol_version = "HTTP/1.1"
    script: Script
    target: str

    def operation(self, headers: dict[str, str]) -> str:
        return operation_of(self.command, self.path, headers)

    def handle_any(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        operation = self.operation(headers)
        with self.script.lock:
            self.script.requests.append(
                SentRequest(operation, self.command, self.path, headers, len(body))
            )
        fault = self.script.next_fault(operation)
        if fault is None:
            self.send_answer(self.forward(body))
        else:
            act: Callable[[bytes, Any], None] = getattr(self, f"do_fault_{fault.action}")
            act(body, fault.argument)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

    def forward(self, body: bytes) -> Answer:
        connection = HTTPConnection(self.target, timeout=60)
        try:
            headers = {
                name: value for name, value in self.headers.items() if name.lower() != "expect"
            }
            connection.request(self.command, self.path, body or None, headers)
            response: HTTPResponse = connection.getresponse()
            content = response.read()
            kept = [
                (name, value)
                for name, value in response.getheaders()
                if name.lower() not in ("connection", "transfer-encoding", "content-length")
            ]
            length = response.getheader("Content-Length")
            if self.command == "HEAD" and length is not None:
                kept.append(("Content-Length", length))
            return response.status, kept, content
        finally:
            connection.close()

    def send_answer(self, answer: Answer) -> None:
        status, headers, content = answer
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_fault_answer(self, _body: bytes, argument: tuple[int, str]) -> None:
        """Answer with a status and an error code instead of forwarding."""
        status, code = argument
        self.send_answer((status, [("Content-Type", "application/xml")], error_document(code)))

    def do_fault_answer_after_success(self, body: bytes, argument: tuple[int, str]) -> None:
        """Let the request succeed, but answer with an error."""
        self.forward(body)
        self.do_fault_answer(body, argument)

    def do_fault_without_header(self, body: bytes, name: str) -> None:
        """Forward the request as if that header were not there."""
        del self.headers[name]
        self.send_answer(self.forward(body))

    def do_fault_reset(self, _body: bytes, _argument: Any) -> None:
        """Reset the connection without forwarding."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def do_fault_reset_after_success(self, body: bytes, argument: Any) -> None:
        """Let the request succeed, but reset the connection instead of answering."""
        self.forward(body)
        self.do_fault_reset(body, argument)

    def do_fault_silent_after_success(self, body: bytes, seconds: float) -> None:
        """Let the request succeed, but do not answer before the client's time is up."""
        self.forward(body)
        time.sleep(seconds)
        self.close_connection = True

    def do_fault_wrong_etag(self, body: bytes, _argument: Any) -> None:
        """Answer with an ETag that belongs to other bytes."""
        status, headers, content = self.forward(body)
        kept = [(name, value) for name, value in headers if name.lower() != "etag"]
        self.send_answer((status, [*kept, ("ETag", f'"{"0" * 32}"')], content))

    def do_fault_break_off(self, body: bytes, length: int) -> None:
        """Send only the first ``length`` bytes of the content, then end the connection."""
        status, headers, content = self.forward(body)
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:length])
        self.close_connection = True

    def do_fault_slow_body(self, body: bytes, seconds: float) -> None:
        """Send the content in ten pieces over so many seconds."""
        status, headers, content = self.forward(body)
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        step = max(1, -(-len(content) // 10))
        for start in range(0, len(content), step):
            self.wfile.write(content[start : start + step])
            self.wfile.flush()
            time.sleep(seconds / 10)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Keep quiet."""


def error_document(code: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
        "<Message>made by the test</Message></Error>"
    ).encode()
