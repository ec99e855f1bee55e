"""Pushes and pulls that go on in the background while something is being broken."""

import itertools
import threading
from types import TracebackType
from typing import Self

from tests.clients.images import Image, make_image, make_layer
from tests.clients.protocol import Account
from tests.faults.patience import Patience, PatientRegistry, blobs_of

LAYER_BYTES = 150_000
TAGS = 20


class Load:
    """Clients that push images and pull them back, each in a repository of its own.

    A context manager: leaving it ends the clients and raises what any of them met. Whatever
    they pushed must then be there.
    """

    def __init__(
        self,
        address: str,
        account: Account,
        repository: str,
        *,
        clients: int = 4,
        patience: Patience | None = None,
    ) -> None:
        """Take `address` as host and port; `repository` begins the names of all theirs."""
        self.patience = patience or Patience()
        self.pushed = 0
        self.pulled = 0
        self.errors: list[BaseException] = []
        self._patient = PatientRegistry(address, account, self.patience)
        self._repository = repository
        self._stop = threading.Event()
        self._progress = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, args=(number,), daemon=True)
            for number in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.wait_for_progress()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * self.patience.seconds)
        assert not any(thread.is_alive() for thread in self._threads), "a client hangs"
        if error is None and self.errors:
            raise self.errors[0]

    def wait_for_progress(self, pushes: int = 4, timeout: float = 90.0) -> None:
        """Wait until so many more images are pushed and pulled. AssertionError when it takes long.

        This is how a test knows that the server is in use, or in use again.
        """
        target = self.pushed + pushes
        with self._progress:
            came = self._progress.wait_for(
                lambda: self.pushed >= target or bool(self.errors), timeout
            )
        if self.errors:
            raise self.errors[0]
        assert came, "the clients make no progress"

    def _work(self, number: int) -> None:
        name, tagged = f"{self._repository}/client{number}", dict[str, Image]()
        try:
            for turn in itertools.count():
                if self._stop.is_set():
                    break
                tag, older = (f"t{each % TAGS}" for each in (turn, turn // 2))
                tagged[tag] = make_image(layers=[make_layer(LAYER_BYTES)])
                self._patient.push_image(name, tag, tagged[tag])
                self._pull(name, older, tagged[older])
                with self._progress:
                    self.pushed += 1
                    self._progress.notify_all()
        except BaseException as error:
            self.errors.append(error)
            with self._progress:
                self._progress.notify_all()

    def _pull(self, name: str, tag: str, image: Image) -> None:
        registry = self._patient.registry
        found = self.patience.until(lambda: registry.get_manifest(name, tag), 200)
        assert found.headers["docker-content-digest"] == image.digest, (name, tag)
        for content, digest in blobs_of(image):
            assert self._patient.get_blob(name, digest) == content, digest
        self.pulled += 1
