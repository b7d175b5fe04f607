"""Transcripts, which end with their test."""

import contextlib
from collections.abc import Iterator

import pytest

from proxy.data_plane.door import Entry
from proxy.data_plane.roles import Rules
from tests.support.transcript import Begin, Transcript


@pytest.fixture
def begin() -> Iterator[Begin]:
    with contextlib.ExitStack() as stack:

        def start(
            server: str = "", *, rules: Rules | None = None, entry: Entry | None = None
        ) -> Transcript:
            transcript = Transcript(server, rules, entry)
            stack.callback(transcript.close)
            return transcript

        yield start
