"""Regular expressions in settings: RE2's, which take time by the length of a path and no more.

Whatever a caller asks for is held against them, on the loop that serves everybody: an expression
that may try again and again would let one caller stop all others.
"""

from functools import lru_cache
from typing import Any, Final

_MOST_BYTES: Final = 1_000
_MEMORY_BYTES: Final = 8 * 1024 * 1024  # of what is known of one; beyond, it is slower and no less


@lru_cache(maxsize=4096)
def expression(pattern: str) -> Any:
    """It, ready to be searched for in bytes, with `groups` and `groupindex`; or ValueError."""
    import re2  # noqa: PLC0415 - 5 ms and 4 MB that few need

    if len(pattern) > _MOST_BYTES:
        raise ValueError(f"a regular expression has at most {_MOST_BYTES} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as error:
        why = error.args[0].decode("utf-8", "replace") if error.args else ""
        raise ValueError(f"no regular expression as RE2 has them: {why}") from None
