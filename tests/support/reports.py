"""What a sidecar writes and shows beside its answers: lines of files, samples, what it lost."""

import fcntl
import re
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Final, Self

import orjson
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.support.caller import Answer, Caller
from tests.support.forks import start_piped
from tests.support.messages import post
from tests.support.sidecar import STOP_WITHIN_S, Sidecar, environment
from tests.support.waiting import eventually

Line = dict[str, object]

_READY: Final = re.compile(rb"listening on http://[^\s:]+:(\d+)")  # in either form
_PIPE_BYTES: Final = 4096  # the least that Linux gives


def lines_of(path: Path, count: int = 1) -> list[str]:
    """The lines of a file, once there are so many."""

    def read() -> list[str]:
        return path.read_text().splitlines() if path.exists() else []

    eventually(lambda: len(read()) >= count)
    return read()


def json_lines(path: Path, count: int = 1) -> list[Line]:
    return [orjson.loads(line) for line in lines_of(path, count)]


def samples(sidecar: Sidecar) -> Iterator[Sample]:
    """All of a scrape, as Prometheus's own parser reads them."""
    for family in text_string_to_metric_families(sidecar.get("/metrics").body.decode()):
        yield from family.samples


def sample(sidecar: Sidecar, name: str, **labels: str) -> float:
    """The one sample of this name with these labels; nought where there is none."""
    found = [each.value for each in samples(sidecar) if (each.name, each.labels) == (name, labels)]
    return found[0] if found else 0.0


def dropped(sidecar: Sidecar, where: str) -> float:
    return sample(sidecar, "toolproxy_events_dropped_total", where=where)


def problems(sidecar: Sidecar) -> dict[str, str]:
    """What `/readyz` says does not work, beside calls."""
    found = sidecar.get("/readyz").json()["problems"]
    assert isinstance(found, dict)
    return found


def events(sidecar: Sidecar, query: str = "") -> list[Line]:
    """The answer of `/events?format=json`."""
    answer = sidecar.get(f"/events?format=json{query}")
    assert answer.status == 200, answer
    found = answer.json()["events"]
    assert isinstance(found, list)
    return found


def written(path: Path, *documents: Mapping[str, object]) -> None:
    """Add a line for each, as another process does."""
    with path.open("ab") as file:
        file.writelines(orjson.dumps(each) + b"\n" for each in documents)


def chora(trace_id: str, at: datetime, **more: object) -> Line:
    """An event as chora-compose writes it."""
    return {
        "timestamp": at.isoformat(),
        "trace_id": trace_id,
        "status": "success",
        "event_type": "chora.content_generated",
        "generator_type": "jinja2",
        "duration_ms": 12,
        **more,
    }


def call(sidecar: Sidecar, target: str, trace_id: str) -> None:
    sidecar.ask(post(target, b"X-Chora-Trace-Id: " + trace_id.encode()))


class Piped:
    """A sidecar whose stdout and stderr are small pipes that nobody reads until `read` begins."""

    def __init__(self, directory: Path, servers: str, settings: Mapping[str, object]) -> None:
        (directory / "registry.yaml").write_text(servers)
        own = {
            "listen": "127.0.0.1:0",
            "registry": {
                "path": str(directory / "registry.yaml"),
                "store": str(directory / "generations"),
            },
        }
        path = directory / "proxy.yaml"
        path.write_text(yaml.safe_dump(own | dict(settings)))
        piped = start_piped(["run", "-c", str(path)], environment({}))
        self.process = piped.process
        self.stdout, self.stderr = piped.stdout, piped.stderr
        for each in (self.stdout, self.stderr):
            fcntl.fcntl(each, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self.first = b""
        while not (matched := _READY.search(self.first)):
            self.first += self._line()
        self.port = int(matched[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(STOP_WITHIN_S)
        self.stdout.close()
        self.stderr.close()

    def _line(self) -> bytes:
        """The next of stderr, and not an octet more: the rest stays in the pipe."""
        line = b""
        while not line.endswith(b"\n"):
            octet = self.stderr.read(1)
            assert octet, self.first
            line += octet
        return line

    def ask(self, request: bytes) -> Answer:
        with Caller(self.port) as caller:
            caller.send(request)
            return caller.answer(request.split(b" ")[0].decode())

    def exit_status(self) -> int:
        return self.process.wait(STOP_WITHIN_S)


def read_to_end(pipe: FileIO) -> list[bytes]:
    """Begin to read what comes; the list grows until the other end is closed."""
    found: list[bytes] = []

    def read() -> None:
        while octets := pipe.read(1 << 16):
            found.append(octets)

    threading.Thread(target=read, daemon=True).start()
    return found
