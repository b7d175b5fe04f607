"""Are the blocks that we run still those of the guides, byte for byte?

The guides are not ours and not here: `TOOLPROXY_SARK_GUIDE` and `TOOLPROXY_CHORA_GUIDE` say where
they are, and where they say nothing, nothing is compared.
"""

import os
from pathlib import Path
from typing import Final

import pytest

from tests.support.guide_blocks import Block, found_in, kept

ENDS_WITH: Final = 'if __name__ == "__main__":\n    asyncio.run(main())\n'


def guide(variable: str) -> list[Block]:
    path = os.environ.get(variable)
    if not path:
        pytest.skip(f"{variable} does not say where the guide is")
    return found_in(Path(path).read_text(encoding="utf-8"))


def test_all_blocks_of_the_sark_guide_are_kept_as_they_are() -> None:
    theirs = guide("TOOLPROXY_SARK_GUIDE")

    assert list(kept("sark_blocks.txt").values()) == theirs


def test_the_gateway_of_the_chora_guide_is_kept_as_it_is() -> None:
    theirs = [block for block in guide("TOOLPROXY_CHORA_GUIDE") if block.text.endswith(ENDS_WITH)]

    assert list(kept("chora_blocks.txt").values()) == theirs
