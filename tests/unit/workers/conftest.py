"""An office that workers can come to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.offices import Office, office_in


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with office_in(tmp_path) as office:
        yield office
