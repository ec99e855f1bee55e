"""Running the programs under test: with a time limit, an empty environment, and their output."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_SECONDS = 60.0

POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'
# Short names would be looked up on the network.
REGISTRIES = "unqualified-search-registries = []\nshort-name-mode = 'disabled'\n"


class ProgramFailed(AssertionError):
    """A program ended with another code than zero; the message has its output."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended and what it wrote."""

    arguments: tuple[str, ...]
    code: int
    output: str
    errors: str

    @property
    def succeeded(self) -> bool:
        """Say whether it ended with code zero."""
        return self.code == 0

    @property
    def text(self) -> str:
        """Everything it wrote."""
        return f"{self.output}{self.errors}"

    def __str__(self) -> str:
        """Return the command, the code and the output, for the message of an assertion."""
        return f"{' '.join(self.arguments)}\nended with {self.code}:\n{self.text}"


class Machine:
    """A directory that plays the part of a user's machine."""

    def __init__(self, directory: Path, **variables: str) -> None:
        """Write the configuration that the clients read from the home directory."""
        self.directory = directory
        self._variables = variables
        configuration = directory / ".config" / "containers"
        configuration.mkdir(parents=True)
        (configuration / "policy.json").write_text(POLICY)
        (configuration / "registries.conf").write_text(REGISTRIES)
        (directory / "tmp").mkdir()

    def environment(self) -> dict[str, str]:
        """Return variables that lead every client into the directory, and to no proxy."""
        configuration = self.directory / ".config" / "containers"
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "TMPDIR": str(self.directory / "tmp"),
            "XDG_RUNTIME_DIR": str(self.directory / "tmp"),
            "XDG_DATA_HOME": str(self.directory / "data"),
            "CONTAINERS_REGISTRIES_CONF": str(configuration / "registries.conf"),
            "BUILDAH_ISOLATION": "chroot",
            **self._variables,
        }

    def run(
        self,
        arguments: Sequence[str],
        *,
        given: str | None = None,
        check: bool = True,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Outcome:
        """Run a program with `given` on its standard input.

        Raises ProgramFailed when it fails, unless `check` is off, and subprocess.TimeoutExpired.
        """
        done = subprocess.run(
            list(arguments),
            env=self.environment(),
            cwd=self.directory,
            stdin=subprocess.DEVNULL if given is None else None,
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        outcome = Outcome(tuple(arguments), done.returncode, done.stdout, done.stderr)
        if check and not outcome.succeeded:
            raise ProgramFailed(str(outcome))
        return outcome
