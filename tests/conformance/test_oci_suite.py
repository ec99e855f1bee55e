"""What counts as a success of the OCI suite, tried with a program of our own in its place."""

import sys
from pathlib import Path

import pytest

from tests.conformance.oci_suite import VERSIONS, SuiteFailed, run_suite

PROGRAM = """#!{python}
import os, pathlib
assert os.environ["OCI_DATA_SPARSE"] == "true"
assert os.environ["OCI_REGISTRY"] == "127.0.0.1:9"
statuses = {statuses!r}
cases = "".join(f'<testcase name="case {{n}}" status="{{s}}"/>' for n, s in enumerate(statuses))
report = pathlib.Path(os.environ["OCI_RESULTS_DIR"], "junit.xml")
report.write_text(f"<testsuites><testsuite>{{cases}}</testsuite></testsuites>")
"""


def program(directory: Path, statuses: list[str]) -> str:
    path = directory / "program"
    path.write_text(PROGRAM.format(python=sys.executable, statuses=statuses))
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_full_run_without_failures_is_a_success(tmp_path: Path, version: str) -> None:
    statuses = ["passed"] * VERSIONS[version] + ["skipped"]
    outcome = run_suite(program(tmp_path, statuses), version, "127.0.0.1:9", "admin", "secret")
    assert outcome.faults == []
    assert str(outcome) == f"Version {version}: {VERSIONS[version]} passed, 1 skipped, 0 failed"


@pytest.mark.parametrize("status", ["failure", "error"])
def test_every_failure_is_named(tmp_path: Path, status: str) -> None:
    path = program(tmp_path, ["passed"] * 900 + [status])
    outcome = run_suite(path, "dev", "127.0.0.1:9", "admin", "secret")
    assert outcome.faults == ["dev: failed: case 900"]


def test_a_run_of_few_tests_is_no_success(tmp_path: Path) -> None:
    path = program(tmp_path, ["passed"] * 3)
    (fault,) = run_suite(path, "1.1", "127.0.0.1:9", "admin", "secret").faults
    assert "3 tests passed" in fault


def test_a_program_without_a_report_is_no_success(tmp_path: Path) -> None:
    path = tmp_path / "silent"
    path.write_text("#!/bin/sh\necho cannot reach it >&2\n")
    path.chmod(0o755)
    with pytest.raises(SuiteFailed, match="cannot reach it"):
        run_suite(str(path), "1.1", "127.0.0.1:9", "admin", "secret")
    with pytest.raises(SuiteFailed, match="could not be run"):
        run_suite(str(tmp_path / "absent"), "1.1", "127.0.0.1:9", "admin", "secret")
