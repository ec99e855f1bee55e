"""The emulators of two clouds, each a process of its own, where they are installed.

``.ci/run`` installs both; docs/development.md says how.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from dataclasses import replace
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from azure.storage.blob import ContainerClient
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from core.storage.azure.options import AzureOptions
from core.storage.gcs.options import GCSOptions
from tests.core.storage.s3_server import Answer, FaultyHandler

AZURITE = shutil.which("azurite-blob")
FAKE_GCS = shutil.which("fake-gcs-server")

AZURE_ACCOUNT = "roadstead"
AZURE_KEY = base64.b64encode(b"only for tests" * 4).decode()


class Emulator:
    """A program that listens on a port of this machine."""

    def __init__(self, program: str, *arguments: str, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.address = f"http://127.0.0.1:{self.port}"
        self._directory = tempfile.TemporaryDirectory()
        filled = [argument.format(port=self.port) for argument in arguments]
        with Path(self._directory.name, "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, *filled],
                stdout=log,
                stderr=log,
                cwd=self._directory.name,
                env=os.environ | environment,
            )
        self._wait()

    def _wait(self) -> None:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.1)
            else:
                return
        raise RuntimeError(Path(self._directory.name, "log").read_text())

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)
        self._directory.cleanup()


class Azurite(Emulator):
    def __init__(self) -> None:
        super().__init__(
            AZURITE or "azurite-blob",
            "--inMemoryPersistence",
            "--disableTelemetry",
            "--silent",
            "--skipApiVersionCheck",
            "--blobHost=127.0.0.1",
            "--blobPort={port}",
            AZURITE_ACCOUNTS=f"{AZURE_ACCOUNT}:{AZURE_KEY}",
        )
        self.url = self.address

    def new_container(self) -> str:
        name = f"container-{uuid.uuid4().hex[:12]}"
        self.container(name).create_container()
        return name

    def container(self, name: str) -> ContainerClient:
        credential = {"account_name": AZURE_ACCOUNT, "account_key": AZURE_KEY}
        return ContainerClient(f"{self.url}/{AZURE_ACCOUNT}", name, credential=credential)


def azure_options(url: str, container: str, **rest: Any) -> AzureOptions:
    """Return options for a part of the container that no other test uses."""
    basic = AzureOptions(
        container,
        AZURE_ACCOUNT,
        prefix=f"test-{uuid.uuid4().hex[:12]}/",
        account_key=AZURE_KEY,
        endpoint_url=f"{url}/{AZURE_ACCOUNT}",
        first_pause_seconds=0,
    )
    return replace(basic, **rest)


class AzureHandler(FaultyHandler):
    """Names requests as the service's reference does."""

    def operation(self, headers: dict[str, str]) -> str:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        table = {
            ("PUT", "block"): "Put Block",
            ("PUT", "blocklist"): "Put Block List",
            ("GET", "blocklist"): "Get Block List",
            ("GET", "list"): "List Blobs",
            ("HEAD", ""): "Get Blob Properties",
            ("GET", ""): "Get Blob",
            ("DELETE", ""): "Delete Blob",
        }
        key = (self.command, query.get("comp", ""))
        return table.get(key, f"{self.command} {self.path}")


class FakeGCS(Emulator):
    def __init__(self) -> None:
        super().__init__(
            FAKE_GCS or "fake-gcs-server",
            "-backend=memory",
            "-scheme=http",
            "-host=127.0.0.1",
            "-port={port}",
            "-external-url=http://127.0.0.1:{port}",
            "-public-host=127.0.0.1:{port}",
            "-log-level=error",
        )
        self.url = self.address

    def new_bucket(self) -> str:
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self.ask("POST", "/storage/v1/b?project=test", json.dumps({"name": name}))
        return name

    def ask(self, method: str, path: str, body: str | None = None) -> int:
        """Send one request and return the status."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()


def gcs_options(url: str, bucket: str, **rest: Any) -> GCSOptions:
    """Return options for a part of the bucket that no other test uses."""
    basic = GCSOptions(
        bucket,
        prefix=f"test-{uuid.uuid4().hex[:12]}/",
        credentials=service_account_key(f"{url}/token"),
        endpoint_url=url,
        first_pause_seconds=0.01,
    )
    return replace(basic, **rest)


@cache
def private_key() -> str:
    return (
        rsa.generate_private_key(65537, 2048)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


def service_account_key(token_uri: str) -> str:
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "registry@project-1.example.org",
            "private_key_id": "1",
            "private_key": private_key(),
            "token_uri": token_uri,
        }
    )


class GCSHandler(FaultyHandler):
    """Names requests, gives tokens, and adds what the emulator's compose lacks.

    The service refuses to compose when a condition does not hold (412) or a source is missing
    (404); the emulator knows no condition there and answers 500.
    """

    def operation(self, headers: dict[str, str]) -> str:
        parts = urlsplit(self.path)
        if parts.path == "/token":
            return "Token"
        if parts.path.startswith("/upload/"):
            return "Insert"
        if parts.path.endswith("/compose"):
            return "Compose"
        if parts.path.endswith("/o"):
            return "List"
        is_content = parts.path.startswith("/download/")
        table = {"GET": "Get Content" if is_content else "Get", "DELETE": "Delete"}
        return table.get(self.command, f"{self.command} {self.path}")

    def forward(self, body: bytes) -> Answer:
        parts = urlsplit(self.path)
        if parts.path == "/token":
            token = {"access_token": "token", "token_type": "Bearer", "expires_in": 3600}
            return 200, [("Content-Type", "application/json")], json.dumps(token).encode()
        if parts.path.endswith("/compose"):
            objects = parts.path.rpartition("/compose")[0]
            is_conditional = parse_qs(parts.query).get("ifGenerationMatch") == ["0"]
            if is_conditional and self._has(objects):
                return json_error(412)
            folder = objects.rpartition("/")[0]
            sources = [source["name"] for source in json.loads(body)["sourceObjects"]]
            if not all(self._has(f"{folder}/{quote(name, '')}") for name in sources):
                return json_error(404)
        return super().forward(body)

    def _has(self, path: str) -> bool:
        connection = HTTPConnection(self.target, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            return answer.status == 200
        finally:
            connection.close()


def json_error(status: int) -> Answer:
    content = json.dumps({"error": {"code": status, "message": "made by the test"}})
    return status, [("Content-Type", "application/json")], content.encode()
