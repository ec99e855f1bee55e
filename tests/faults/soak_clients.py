"""The clients of the soak: each knows exactly what must be in its own repositories."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing

from tests.clients.images import Image, make_image, make_layer, sha256
from tests.clients.protocol import Account, Answer, Registry
from tests.faults.patience import Patience, PatientRegistry, blobs_of

KEPT_TAGS = 12
SIZES = (200, 3_000, 60_000, 300_000, 1_500_000)


class Gate:
    """Lets clients act, or holds all of them while somebody checks."""

    def __init__(self) -> None:
        """Begin open."""
        self._changed = threading.Condition()
        self._acting = 0
        self._is_closed = False

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_closed)
            self._acting += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._acting -= 1
            self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Hold all who come, and wait for those inside. AssertionError when they take too long."""
        with self._changed:
            self._is_closed = True
            done = self._changed.wait_for(lambda: not self._acting, timeout)
        assert done, "a client does not come to an end"

    def open(self) -> None:
        """Let everybody in again."""
        with self._changed:
            self._is_closed = False
            self._changed.notify_all()


class Roaming(Registry):
    """A registry behind several addresses: each request goes to one of them."""

    def __init__(self, addresses: Sequence[str], account: Account, chooser: random.Random) -> None:
        """Take a list that may change while requests are made."""
        self._addresses = addresses
        self._chooser = chooser
        super().__init__(addresses[0], account)

    @property
    def address(self) -> str:
        """One of the addresses of this moment."""
        return self._chooser.choice(list(self._addresses))

    @address.setter
    def address(self, _address: str) -> None:
        """The list decides."""


class SoakClient:
    """Pushes, pulls, moves and deletes at random, and remembers what was acknowledged."""

    def __init__(
        self, number: int, project: str, registry: Registry, patience: Patience, seed: int
    ) -> None:
        """Take a random sequence of its own from `seed`."""
        self.done: Counter[str] = Counter()
        self._random = random.Random(f"{seed}-{number}")
        self._name = f"{project}/client{number}"
        self._shared = f"{project}/shared"
        self._registry = registry
        self._patient = PatientRegistry("", Account("", ""), patience)
        self._patient.registry = registry
        self._patience = patience
        self._tags: dict[tuple[str, str], Image] = {}
        # The same layer again and again, from all clients at once.
        common = random.Random(seed)
        self._common = common.randbytes(150_000)

    def act(self) -> None:
        """Do one thing. AssertionError when an answer is wrong."""
        actions: dict[Callable[[], None], int] = {
            self.push: 5,
            self.pull: 6,
            self.retag: 2,
            self.push_common: 2,
            self.mount: 2,
            self.delete_tag: 2,
            self.delete_manifest: 1,
            self.give_up: 1,
        }
        action = self._random.choices(list(actions), list(actions.values()))[0]
        action()
        self.done[action.__name__] += 1

    def push(self) -> None:
        """Push an image in one way or another."""
        size = self._random.choice(SIZES)
        image = make_image(layers=[make_layer(size)])
        name = f"{self._name}/{self._random.randrange(3)}"
        for content, digest in blobs_of(image):
            chunk = self._random.choice((None, None, max(1, len(content) // 3)))
            self._patient.push_blob(name, content, digest, chunk_bytes=chunk)
        self._put(name, f"t{self._random.randrange(KEPT_TAGS)}", image)

    def pull(self) -> None:
        """Pull something that must be there, and compare it."""
        if self._tags:
            (name, tag), image = self._random.choice(list(self._tags.items()))
            self._verify(name, tag, image)

    def retag(self) -> None:
        """Give an image another tag."""
        if self._tags:
            (name, _tag), image = self._random.choice(list(self._tags.items()))
            self._put(name, f"t{self._random.randrange(KEPT_TAGS)}", image)

    def push_common(self) -> None:
        """Push what all others push at this moment too."""
        self._patient.push_blob(self._shared, self._common, sha256(self._common))
        got = self._patient.get_blob(self._shared, sha256(self._common))
        assert got == self._common

    def mount(self) -> None:
        """Mount a layer into another repository; what is mounted is there."""
        if not self._tags:
            return
        (name, _tag), image = self._random.choice(list(self._tags.items()))
        target, digest = f"{self._name}/mounted", image.layer_digests[0]
        path = f"/v2/{target}/blobs/uploads/?mount={digest}&from={name}"
        self._ask(lambda: self._registry.request("POST", path, body=b""), 201)
        assert self._patient.get_blob(target, digest) == image.layers[0].content
        blob = f"/v2/{target}/blobs/{digest}"
        self._ask(lambda: self._registry.request("DELETE", blob), 202, 404)

    def delete_tag(self) -> None:
        """Delete a tag; its manifest stays."""
        if not self._tags:
            return
        (name, tag), image = self._random.choice(list(self._tags.items()))
        path = f"/v2/{name}/manifests/{tag}"
        self._ask(lambda: self._registry.request("DELETE", path), 202, 404)
        del self._tags[name, tag]
        self._ask(lambda: self._registry.head_manifest(name, tag), 404)
        self._ask(lambda: self._registry.head_manifest(name, image.digest), 200)

    def delete_manifest(self) -> None:
        """Delete a manifest with all its tags, then its layer."""
        if not self._tags:
            return
        (name, _tag), image = self._random.choice(list(self._tags.items()))
        path = f"/v2/{name}/manifests/{image.digest}"
        self._ask(lambda: self._registry.request("DELETE", path), 202, 404)
        gone = [key for key, each in self._tags.items() if key[0] == name and each == image]
        for key in gone:
            del self._tags[key]
        self._ask(lambda: self._registry.head_manifest(name, image.digest), 404)
        blob = f"/v2/{name}/blobs/{image.layer_digests[0]}"
        self._ask(lambda: self._registry.request("DELETE", blob), 202, 404)
        self._ask(lambda: self._registry.head_blob(name, image.layer_digests[0]), 404)

    def give_up(self) -> None:
        """Begin an upload and leave it; housekeeping takes it."""
        path = f"/v2/{self._name}/idle/blobs/uploads/"
        started = self._ask(lambda: self._registry.request("POST", path, body=b""), 202)
        data = self._random.randbytes(5_000)
        self._ask(lambda: self._registry.append(started.location, data), 202, 404)

    def verify_all(self) -> int:
        """Compare everything that was acknowledged; return how many tags there are."""
        for (name, tag), image in self._tags.items():
            self._verify(name, tag, image)
        return len(self._tags)

    def _put(self, name: str, tag: str, image: Image) -> None:
        self._patient.put_manifest(name, tag, image.manifest)
        self._tags[name, tag] = image

    def _verify(self, name: str, tag: str, image: Image) -> None:
        found = self._ask(lambda: self._registry.get_manifest(name, tag), 200)
        assert found.body == image.manifest, f"{name}:{tag} is not what was pushed last"
        for content, digest in blobs_of(image):
            assert self._patient.get_blob(name, digest) == content, digest

    def _ask(self, ask: Callable[[], Answer], *statuses: int) -> Answer:
        return self._patience.until(ask, *statuses)


def is_answering(address: str) -> bool:
    """Say whether something answers there."""
    from http.client import HTTPConnection, HTTPException

    with closing(HTTPConnection(address, timeout=5)) as connection:
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status == 401
        except (OSError, HTTPException):
            return False
