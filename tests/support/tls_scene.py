"""A sidecar with listeners for TLS of every kind, and who may come in by which."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.admission_scene import shared_scene
from tests.support.loop_thread import LoopThread
from tests.support.origin import Origin
from tests.support.pki import Authority
from tests.support.sidecar import Sidecar

OTHERS: Final = re.compile(r"also listening on https?://127\.0\.0\.1:(\d+)")
ANY_PORT: Final = "127.0.0.1:0"
PATIENCE_S: Final = 1.0  # of the sidecar, with handshakes


class TlsScene(NamedTuple):
    """`ports` are those of the listeners by their names; `theirs` signs for callers."""

    origin: Origin
    sidecar: Sidecar
    ports: Mapping[str, int]
    ours: Authority
    theirs: Authority
    folder: Path


@contextlib.contextmanager
def tls_scene(loop_thread: LoopThread, folder: Path, **more: object) -> Iterator[TlsScene]:
    ours, theirs = Authority(folder, "ours"), Authority(folder, "theirs")
    first = ours.server("first", "127.0.0.1", "a.example")
    second = ours.server("second", "b.example", "*.c.example")
    asks = {**first, "client_ca": str(theirs.path)}
    kinds: dict[str, dict[str, object]] = {
        "open": {"certificates": [first, second]},
        "required": {**asks, "client_certificate": "required"},
        "optional": {**asks, "client_certificate": "optional"},
        "modern": {**first, "min_version": "1.3"},
    }
    settings = {
        "listen": [ANY_PORT, *({"address": ANY_PORT, "tls": tls} for tls in kinds.values())],
        "limits": {"head_timeout": PATIENCE_S},
        **more,
    }
    with shared_scene(loop_thread, folder, settings) as (origin, sidecar):
        found = map(int, OTHERS.findall(sidecar.stderr))
        ports = dict(zip(kinds, found, strict=True)) | {"plain": sidecar.port}
        yield TlsScene(origin, sidecar, ports, ours, theirs, folder)
