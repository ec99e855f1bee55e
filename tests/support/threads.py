"""Threads that outlive the tests which started them."""

import re
import threading

# Threads of the product that wait for work as long as their process lives, those of pools that
# nobody shuts down, and those of servers in the tests that wait for the next request.
_WAITING = re.compile(
    r"MainThread|audit-buffer|claims|send-file_\d+|(health|piece|s3-part|registry-[a-z-]+)_\d+"
    r"|.*\((process_request_thread|serve_forever)\)"
)
PATIENCE_SECONDS = 20.0


def assert_none_goes_on(before: frozenset[threading.Thread]) -> None:
    """Expect no thread that was not there `before` to be at work; AssertionError names them.

    One that is would disturb whatever test comes next: hypothesis, for one, takes the random
    numbers that another thread draws for its own.
    """
    others = [thread for thread in threading.enumerate() if thread not in before]
    working = [thread for thread in others if not _WAITING.fullmatch(thread.name)]
    for thread in working:
        thread.join(PATIENCE_SECONDS / len(working))
    left = [thread.name for thread in working if thread.is_alive()]
    assert not left, f"these threads outlive the tests that started them: {left}"
