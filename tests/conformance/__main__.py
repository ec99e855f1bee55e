"""`python -m tests.conformance`: the suite of the OCI against a server started for it."""

import os
import sys

from tests.conformance.oci_suite import VERSIONS, SuiteFailed, run_suite
from tests.support.server import ADMINISTRATOR, RunningServer


def main() -> int:
    """Return 0 when every version passed as it should."""
    program = os.environ.get("OCI_CONFORMANCE", "")
    if not program:
        _tell(
            "Set OCI_CONFORMANCE to the path of the conformance program, built from the directory"
            " conformance of the OCI distribution specification."
        )
        return 2
    faults: list[str] = []
    try:
        # The suite pushes an image without one of its layers when sparse content is asked for.
        with RunningServer(accept_missing_blobs="true") as server:
            for version in VERSIONS:
                outcome = run_suite(
                    program, version, server.registry, ADMINISTRATOR, server.admin_password
                )
                _tell(str(outcome))
                faults += outcome.faults
    except SuiteFailed as error:
        faults.append(str(error))
    for fault in faults:
        _tell(fault)
    return 1 if faults else 0


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
