"""The image, made once."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shipping.dockerfile import Image, build


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    # Not below pytest's own folder, which nobody but its owner may enter.
    with tempfile.TemporaryDirectory(prefix="toolproxy-image-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        yield build(root)
