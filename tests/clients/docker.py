"""docker: the command, and a daemon that the tests start for themselves."""

import itertools
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.clients.images import Image, write_docker_archive
from tests.clients.machines import ClientUnusable
from tests.clients.programs import Machine, Outcome
from tests.clients.protocol import Account

START_TIMEOUT_SECONDS = 30.0
_PUSHED = re.compile(r"digest: (sha256:[0-9a-f]{64})")


class Daemon:
    """A dockerd with its own data, reachable over a socket in a folder with a short path."""

    def __init__(self, machine: Machine) -> None:
        """Start it. Raises ClientUnusable when it cannot run on this machine."""
        if os.geteuid() != 0:
            raise ClientUnusable("docker needs a daemon, and dockerd runs as root only")
        if shutil.which("dockerd") is None:
            raise ClientUnusable("docker needs a daemon, and dockerd is not installed")
        self._directory = Path(tempfile.mkdtemp(prefix="roadstead-docker-", dir="/tmp"))
        self.address = f"unix://{self._directory}/docker.sock"
        self._log = self._directory / "log"
        arguments = {
            "data-root": self._directory / "data",
            "exec-root": self._directory / "exec",
            "pidfile": self._directory / "pid",
            "host": self.address,
            "storage-driver": "vfs",
            "bridge": "none",
            "iptables": "false",
            "ip6tables": "false",
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["dockerd", *(f"--{name}={value}" for name, value in arguments.items())],
                env=machine.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait(machine)

    def stop(self) -> None:
        """Stop the daemon and remove its data."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for line in Path("/proc/mounts").read_text().splitlines():
            if line.split()[1].startswith(str(self._directory)):
                subprocess.run(["umount", line.split()[1]], check=False, timeout=10)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _wait(self, machine: Machine) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        command = ["docker", "--host", self.address, "version"]
        while not machine.run(command, check=False).succeeded:
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
                self.stop()
                raise ClientUnusable(f"dockerd does not start here: {' '.join(last)[-300:]}")
            time.sleep(0.1)


class Docker:
    """See `tests.clients.machines.Client`."""

    name = "docker"

    def __init__(self, machine: Machine) -> None:
        """Work on a machine with a new daemon. Raises ClientUnusable."""
        self._machine = machine
        self._daemon = Daemon(machine)
        self._numbers = itertools.count()
        self._pushed = ""

    def close(self) -> None:
        """Stop the daemon."""
        self._daemon.stop()

    def run(self, *arguments: str, given: str | None = None, check: bool = True) -> Outcome:
        """Run a docker command."""
        return self._machine.run(
            ["docker", "--host", self._daemon.address, *arguments], given=given, check=check
        )

    def log_in(self, registry: str, account: Account, *, check: bool = True) -> Outcome:
        """Log in."""
        return self.run(
            "login", "--username", account.username, "--password-stdin", registry,
            given=account.secret, check=check,
        )  # fmt: skip

    def log_out(self) -> None:
        """Forget all credentials and the lists that `docker manifest` keeps."""
        shutil.rmtree(self._machine.directory / ".docker", ignore_errors=True)

    def clear(self) -> None:
        """Remove every image."""
        self.run("image", "prune", "--all", "--force")
        left = self.run("images", "--all", "--quiet").output.split()
        assert left == [], left

    def take(self, image: Image) -> str:
        """Load an archive under a name that is never pushed."""
        name = f"image-{next(self._numbers)}:local"
        archive = self._machine.directory / "archive.tar"
        write_docker_archive(archive, image, name)
        self.run("load", "--quiet", "--input", str(archive))
        archive.unlink()
        return name

    def build(self, context: Path) -> str:
        """Build the Dockerfile in a folder; the local name is the image's id."""
        shown = self.run("build", "--quiet", "--network", "none", str(context))
        return shown.output.strip().splitlines()[-1]

    def push(self, local: str, reference: str, *, check: bool = True) -> Outcome:
        """Tag and push."""
        self.run("tag", local, reference)
        pushed = self.run("push", reference, check=check)
        found = _PUSHED.search(pushed.output)
        self._pushed = found[1] if found else ""
        return pushed

    def pushed_digest(self) -> str:
        """Return what the last push printed."""
        assert self._pushed, "the last push told no digest"
        return self._pushed

    def pull(self, reference: str, *, check: bool = True) -> Outcome:
        """Pull."""
        return self.run("pull", "--quiet", reference, check=check)

    def pulled_digest(self, reference: str) -> str:
        """Ask the daemon under which digest it knows the repository of a reference."""
        repository = reference.rpartition(":")[0]
        shown = self.run(
            "image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', reference
        ).output.split()
        (digest,) = [each.partition("@")[2] for each in shown if each.startswith(f"{repository}@")]
        return digest
