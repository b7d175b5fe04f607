"""A name service for one process, whose answers a test can change while it runs.

Lies beside the process as `sitecustomize.py`, which Python runs at its start, and stands in for
`socket.getaddrinfo`. Names that it does not know are left to the real one. The other side of it is
`chaos_names`.
"""

import os
import socket
import time
from pathlib import Path
from typing import Any, Final

ANSWERS: Final = "CHAOS_NAMES"  # in the environment: the file of them, `name answer answer`
ASKED: Final = ".asked"  # beside it: who was asked for
FAILS: Final = "fails"
HANGS: Final = "hangs"
_GLANCE_S: Final = 0.01

_resolve_really: Final = socket.getaddrinfo


def resolve(host: bytes | str | None, *where: Any, **how: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host or ""
    if (answers := _answers_for(name)) is None:
        return _resolve_really(host, *where, **how)
    with Path(os.environ[ANSWERS] + ASKED).open("a") as asked:
        asked.write(f"{name}\n")
    while answers == [HANGS]:
        time.sleep(_GLANCE_S)
        answers = _answers_for(name) or []
    if answers == [FAILS]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return [each for answer in answers for each in _resolve_really(answer, *where, **how)]


def _answers_for(name: str) -> list[str] | None:
    for line in Path(os.environ[ANSWERS]).read_text().splitlines():
        known, *answers = line.split()
        if known == name:
            return answers
    return None


if ANSWERS in os.environ:
    socket.getaddrinfo = resolve
