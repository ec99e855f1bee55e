"""skopeo: no store of its own; images come from an OCI layout and are pulled into folders."""

import hashlib
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

from tests.clients.images import Image, Layout
from tests.clients.programs import Machine, Outcome
from tests.clients.protocol import Account


class Skopeo:
    """See `tests.clients.machines.Client`."""

    name = "skopeo"

    def __init__(self, machine: Machine) -> None:
        """Work on a machine."""
        self._machine = machine
        self._layout = Layout(machine.directory / "layout")
        self._pulled = machine.directory / "pulled"
        self._digest_file = machine.directory / "pushed-digest"
        self._numbers = itertools.count()
        self._credentials = machine.directory / "auth.json"

    def log_in(self, registry: str, account: Account, *, check: bool = True) -> Outcome:
        """Log in."""
        return self._machine.run(
            [
                "skopeo", "login", "--tls-verify=false", "--authfile", str(self._credentials),
                "--username", account.username, "--password-stdin", registry,
            ],
            given=account.secret,
            check=check,
        )  # fmt: skip

    def log_out(self) -> None:
        """Forget all credentials."""
        self._credentials.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove what was pulled."""
        shutil.rmtree(self._pulled, ignore_errors=True)
        assert not self._pulled.exists()

    def take(self, image: Image) -> str:
        """Add the image to the layout."""
        return self._layout.add_image(f"image-{next(self._numbers)}", image)

    def add_index(self, images: dict[str, Image]) -> tuple[str, str]:
        """Add images by architecture to the layout; return name and digest of their index."""
        return self._layout.add_index(f"image-{next(self._numbers)}", images)

    def push(self, local: str, reference: str, *, check: bool = True) -> Outcome:
        """Copy from the layout."""
        self._digest_file.unlink(missing_ok=True)
        return self.copy(
            local,
            f"docker://{reference}",
            "--digestfile",
            str(self._digest_file),
            check=check,
        )

    def pushed_digest(self) -> str:
        """Read the file that skopeo wrote."""
        return self._digest_file.read_text().strip()

    def pull(self, reference: str, *, check: bool = True) -> Outcome:
        """Copy into a folder of its own."""
        target = self.pulled_folder(reference)
        target.parent.mkdir(exist_ok=True)
        return self.copy(f"docker://{reference}", f"dir:{target}", "--all", check=check)

    def pulled_folder(self, reference: str) -> Path:
        """Return where `pull` puts a reference."""
        return self._pulled / hashlib.sha256(reference.encode()).hexdigest()[:16]

    def pulled_digest(self, reference: str) -> str:
        """Hash the manifest in the folder."""
        manifest = self.pulled_folder(reference) / "manifest.json"
        return f"sha256:{hashlib.sha256(manifest.read_bytes()).hexdigest()}"

    def copy(
        self, source: str, target: str, *options: str, check: bool = True, timeout: float = 60.0
    ) -> Outcome:
        """Copy an image from anywhere to anywhere."""
        verify = [f"--{side}-tls-verify=false" for side in ("src", "dest")]
        return self._machine.run(
            [
                "skopeo", "copy", *verify, "--authfile", self._credentials_file(), *options,
                source, target,
            ],
            check=check,
            timeout=timeout,
        )  # fmt: skip

    def inspect(self, reference: str, *options: str, check: bool = True) -> Outcome:
        """Show an image in the registry."""
        return self._remote("inspect", reference, *options, check=check)

    def list_tags(self, repository: str) -> list[str]:
        """Return the tags of a repository, given as host:port/name."""
        shown: dict[str, Any] = json.loads(self._remote("list-tags", repository).output)
        tags: list[str] = shown["Tags"]
        return tags

    def delete(self, reference: str, *, check: bool = True) -> Outcome:
        """Delete the manifest behind a reference."""
        return self._remote("delete", reference, check=check)

    def _remote(self, verb: str, reference: str, *options: str, check: bool = True) -> Outcome:
        return self._machine.run(
            [
                "skopeo", verb, "--tls-verify=false", "--authfile", self._credentials_file(),
                *options, f"docker://{reference}",
            ],
            check=check,
        )  # fmt: skip

    def _credentials_file(self) -> str:
        if not self._credentials.exists():
            self._credentials.write_text("{}")
        return str(self._credentials)
