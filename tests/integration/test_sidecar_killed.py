"""A sidecar that is killed at any moment of a start or a reload, while others publish.

Ten times here; `TOOLPROXY_KILLS=200` for as many as the promise says.
"""

import itertools
import os
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

import orjson
import pytest
import yaml

from proxy.artifact import identity
from tests.support import forks
from tests.support.sidecar import READY, START_WITHIN_S, environment, registry, server
from tests.support.signing import Signer, beside

KILLS: Final = int(os.environ.get("TOOLPROXY_KILLS", "10"))
LATEST_KILL_S: Final = 0.2  # a start takes 0.1 s behind its imports, a reload somewhat more
BETWEEN_S: Final = 0.08
SIGNER: Final = Signer()


class Publisher(threading.Thread):
    """Publishes one version after the other, each with another tool, until it is told to stop."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.published: set[str] = set()
        self._path = path
        self._versions = itertools.count(1)
        self._over = threading.Event()
        self.publish()

    def publish(self) -> None:
        version = next(self._versions)
        text = registry(server("o", "http://127.0.0.1:9", tools=[f"tool-{version}"]))
        document = yaml.safe_load(text)
        self.published.add(identity(document))
        self._put(
            self._path.with_name("registry.yaml.sig"), beside(SIGNER.signs(document, version))
        )
        self._put(self._path, text.encode())

    def run(self) -> None:
        while not self._over.wait(BETWEEN_S):
            self.publish()

    def stop(self) -> None:
        self._over.set()
        self.join()

    @staticmethod
    def _put(path: Path, octets: bytes) -> None:
        new = path.with_suffix(".new")
        new.write_bytes(octets)
        new.rename(path)


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    publisher = Publisher(tmp_path / "registry.yaml")
    first = started(tmp_path)  # before it, there is nothing to go back to
    active_of(first)
    killed(first)
    publisher.start()
    yield publisher
    publisher.stop()


def started(folder: Path) -> forks.Piped:
    SIGNER.is_trusted_in(folder / "keys")
    settings = {
        "path": str(folder / "registry.yaml"),
        "store": str(folder / "store"),
        "require_signature": True,
        "trusted_keys": str(folder / "keys"),
    }
    (folder / "proxy.yaml").write_text(
        yaml.safe_dump({"listen": "127.0.0.1:0", "registry": settings})
    )
    return forks.start_piped(["run", "-c", str(folder / "proxy.yaml")], environment({}))


def active_of(sidecar: forks.Piped) -> str:
    """What runs, once it listens; it must."""
    said = []
    for line in sidecar.stderr:
        said.append(line.decode())
        if ready := READY.search(said[-1]):
            with urllib.request.urlopen(
                f"http://127.0.0.1:{ready[1]}/registry", timeout=START_WITHIN_S
            ) as answer:
                return str(orjson.loads(answer.read())["active"])
    raise AssertionError(f"it does not listen: {said}")


def killed(sidecar: forks.Piped) -> None:
    sidecar.process.kill()
    sidecar.process.wait(START_WITHIN_S)
    sidecar.close()


@pytest.mark.timeout(60 + 10 * KILLS)
def test_whenever_it_is_killed_it_starts_again_with_what_was_published(
    tmp_path: Path, publisher: Publisher
) -> None:
    random = Random(7)  # noqa: S311 - moments
    pause = threading.Event().wait

    for number in range(KILLS):
        sidecar = started(tmp_path)
        try:
            if number % 2:  # in a reload, else in the start
                assert active_of(sidecar) in publisher.published
            pause(random.uniform(0, LATEST_KILL_S))
        finally:
            killed(sidecar)

    last = started(tmp_path)
    try:
        assert active_of(last) in publisher.published
    finally:
        killed(last)
