"""A mode allows its own transport; AUTO allows all."""

import pytest

from proxy.client.errors import TransportModeError
from proxy.client.modes import TransportMode

REAL = [TransportMode.HTTP_ONLY, TransportMode.SSE_ONLY, TransportMode.STDIO_ONLY]


@pytest.mark.parametrize("needed", REAL)
@pytest.mark.parametrize("mode", TransportMode)
def test_mode_allows_its_own(mode: TransportMode, needed: TransportMode) -> None:
    if mode in (TransportMode.AUTO, needed):
        mode.require(needed, "it")
        return
    with pytest.raises(TransportModeError, match=f"needs .*{needed.name}.* has .*{mode.name}"):
        mode.require(needed, "it")
