"""podman and buildah: two programs over the same kind of store, with the same options."""

import itertools
import os
from pathlib import Path

from tests.clients.images import Image, Layout
from tests.clients.machines import ClientUnusable
from tests.clients.programs import Machine, Outcome
from tests.clients.protocol import Account


class ContainersClient:
    """See `tests.clients.machines.Client`. The store is a folder with the vfs driver."""

    def __init__(self, name: str, machine: Machine) -> None:
        """Work with the program `name` on a machine. Raises ClientUnusable."""
        self.name = name
        self._machine = machine
        self._layout = Layout(machine.directory / "layout")
        self._digest_file = machine.directory / "pushed-digest"
        self._numbers = itertools.count()
        self._credentials = machine.directory / "auth.json"
        self._remove_credentials()
        tried = self.run("info", check=False)
        if not tried.succeeded:
            raise ClientUnusable(f"{name} does not work here: {tried.text.strip()[-300:]}")

    def run(self, *arguments: str, given: str | None = None, check: bool = True) -> Outcome:
        """Run a command of the program on the store."""
        store = [
            "--root", str(self._machine.directory / "store"),
            "--runroot", str(self._machine.directory / "run"),
            "--storage-driver", "vfs",
        ]  # fmt: skip
        return self._machine.run([self.name, *store, *arguments], given=given, check=check)

    def remote(self, *arguments: str, check: bool = True) -> Outcome:
        """Run a command that talks to the registry, with the credentials."""
        verb, *rest = arguments
        access = ["--tls-verify=false", "--authfile", str(self._credentials)]
        return self.run(verb, *access, *rest, check=check)

    def log_in(self, registry: str, account: Account, *, check: bool = True) -> Outcome:
        """Log in."""
        return self.run(
            "login", "--tls-verify=false", "--authfile", str(self._credentials),
            "--username", account.username, "--password-stdin", registry,
            given=account.secret, check=check,
        )  # fmt: skip

    def log_out(self) -> None:
        """Forget all credentials."""
        self._remove_credentials()

    def clear(self) -> None:
        """Remove every image."""
        self.run("rmi", "--all", "--force")
        left = self.run("images", "--all", "--quiet").output.split()
        assert left == [], left

    def take(self, image: Image) -> str:
        """Import from an OCI layout; the local name is the image's id."""
        name = self._layout.add_image(f"image-{next(self._numbers)}", image)
        return self.run("pull", "--quiet", name).output.strip()

    def build(self, context: Path) -> str:
        """Build the Dockerfile in a folder; the local name is the image's id."""
        return self.run("build", "--quiet", "--layers", str(context)).output.strip()

    def push(self, local: str, reference: str, *options: str, check: bool = True) -> Outcome:
        """Push."""
        self._digest_file.unlink(missing_ok=True)
        keep = ["--digestfile", str(self._digest_file)]
        return self.remote("push", *keep, *options, local, f"docker://{reference}", check=check)

    def pushed_digest(self) -> str:
        """Read the file that the program wrote."""
        return self._digest_file.read_text().strip()

    def pull(self, reference: str, *, check: bool = True) -> Outcome:
        """Pull."""
        return self.remote("pull", "--quiet", reference, check=check)

    def pulled_digest(self, reference: str) -> str:
        """Ask the local store."""
        if self.name == "podman":
            shown = self.run("image", "inspect", "--format", "{{.Digest}}", reference)
        else:
            shown = self.run("images", "--no-trunc", "--format", "{{.Digest}}", reference)
        return shown.output.strip()

    def push_list(self, images: dict[str, str], reference: str) -> str:
        """Push local images by architecture as one list; return the digest of the list."""
        name = f"list-{os.urandom(4).hex()}"
        self.run("manifest", "create", name)
        for architecture, local in images.items():
            part = f"localhost/{name}-{architecture}:part"
            self.run("tag", local, part)
            platform = ["--os", "linux", "--arch", architecture]
            self.run("manifest", "add", *platform, name, f"containers-storage:{part}")
        self._digest_file.unlink(missing_ok=True)
        access = ["--tls-verify=false", "--authfile", str(self._credentials)]
        keep = ["--digestfile", str(self._digest_file)]
        self.run("manifest", "push", *access, "--all", *keep, name, f"docker://{reference}")
        self.run("manifest", "rm", name)
        return self.pushed_digest()

    def _remove_credentials(self) -> None:
        self._credentials.write_text("{}")
