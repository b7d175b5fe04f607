"""What an HTTPS source lends, read while it is lent."""

from pathlib import Path
from typing import Final, NamedTuple

from proxy.generations.https_source import HttpsSource

NEVER_S: Final = 3600.0
PATH: Final = "/conf/registry.yaml"


class Read(NamedTuple):
    """What was lent, read while it was."""

    content: bytes
    tag: str
    signature: bytes | None


async def read(source: HttpsSource, known: str = "") -> Read | None:
    async with source.fetch(known) as text:
        if text is None:
            return None
        content = Path(text.path).read_bytes()  # noqa: ASYNC240 - memory
        return Read(content, text.tag, text.signature)


async def tag_of(source: HttpsSource) -> str:
    found = await read(source)
    assert found is not None
    return found.tag
