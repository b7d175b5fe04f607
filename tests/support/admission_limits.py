"""What a refused or admitted call says of the limit it met (RateLimit header fields)."""

import re
from typing import Final

from tests.support.caller import Answer

# draft-ietf-httpapi-ratelimit-headers: a structured list of one policy.
LIMIT: Final = re.compile(r'"?[\w.-]+"?;r=(\d+);t=(\d+)')
POLICY: Final = re.compile(r'"?[\w.-]+"?;q=(\d+);w=(\d+)')


def left(answer: Answer) -> int:
    """How many more the answer says may come."""
    value = answer.value("ratelimit") or ""
    matched = LIMIT.search(value)
    assert matched, value
    return int(matched[1])


def quota(answer: Answer) -> tuple[int, int]:
    """How many in how many seconds the answer says may come."""
    value = answer.value("ratelimit-policy") or ""
    matched = POLICY.search(value)
    assert matched, value
    return int(matched[1]), int(matched[2])
