"""Facts about what is lent: where a child process finds it, and which text it passes for."""

import os
import subprocess
import sys

import pytest

from proxy.generations.source import spool, tag_of


@pytest.mark.parametrize("in_memory", [True, False])
def test_what_is_spooled_can_be_read_by_a_child(
    monkeypatch: pytest.MonkeyPatch, *, in_memory: bool
) -> None:
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create")
    with spool() as spooled:
        spooled.write(b"servers: []")
        spooled.seek(0)
        handle = spooled.fileno()
        program = f"import sys; sys.stdout.write(open('/dev/fd/{handle}').read())"

        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", program], pass_fds=[handle], check=True, capture_output=True
        )

    assert done.stdout == b"servers: []"


def test_a_tag_is_another_one_for_another_text_or_signature() -> None:
    tags = {tag_of(text, signed) for text in ("a", "b") for signed in (None, b"", b"x", b"y")}

    assert len(tags) == 8
