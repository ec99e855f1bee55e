"""Running the conformance suite of the OCI, a program that `OCI_CONFORMANCE` names.

The program is built from the directory `conformance` of the distribution specification. It takes
its options from the environment and leaves a report in the format of JUnit.
"""

import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

VERSIONS = {"1.1": 700, "dev": 800}
"""Versions of the specification, and how many tests have to pass: an empty run proves nothing."""

_TIMEOUT_SECONDS = 600


class SuiteFailed(Exception):
    """The program could not be run, or left no report."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to. `failures` names the tests that failed or broke off."""

    version: str
    passed: int
    skipped: int
    failures: tuple[str, ...]

    @property
    def faults(self) -> list[str]:
        """Say why the run does not count as a success; empty when it does."""
        faults = [f"{self.version}: failed: {name}" for name in self.failures]
        if self.passed < VERSIONS[self.version]:
            faults.append(
                f"{self.version}: {self.passed} tests passed, expected {VERSIONS[self.version]}"
                " at least"
            )
        return faults

    def __str__(self) -> str:
        """Return the counts in one line."""
        return (
            f"Version {self.version}: {self.passed} passed, {self.skipped} skipped, "
            f"{len(self.failures)} failed"
        )


def run_suite(program: str, version: str, address: str, username: str, password: str) -> Outcome:
    """Run the program against `address` (host and port). Raises SuiteFailed."""
    with tempfile.TemporaryDirectory(prefix="roadstead-conformance-") as results:
        options = {
            "OCI_RESULTS_DIR": results,
            "OCI_VERSION": version,
            "OCI_REGISTRY": address,
            "OCI_TLS": "disabled",
            "OCI_REPO1": "library/conformance1",
            "OCI_REPO2": "library/conformance2",
            "OCI_USERNAME": username,
            "OCI_PASSWORD": password,
            "OCI_DATA_SPARSE": "true",
        }
        try:
            # Its own exit status is not asked: the report says more, and says it of each test.
            done = subprocess.run(
                [program],
                env=options,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SuiteFailed(f"{program} could not be run: {error}") from error
        return _read_report(Path(results) / "junit.xml", version, done.stderr)


def _read_report(report: Path, version: str, complaint: str) -> Outcome:
    try:
        cases = list(ET.parse(report).iter("testcase"))
    except (OSError, ET.ParseError) as error:
        raise SuiteFailed(f"The suite left no report: {error}. {complaint.strip()}") from error
    counts = Counter(case.get("status") for case in cases)
    return Outcome(
        version=version,
        passed=counts["passed"],
        skipped=counts["skipped"],
        failures=tuple(
            case.get("name", "?")
            for case in cases
            if case.get("status") not in ("passed", "skipped")
        ),
    )
