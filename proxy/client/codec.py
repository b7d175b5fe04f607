"""JSON, as the client sends and reads it: one place for what the standard library lets through."""

import json  # noqa: TID251 - the client needs aiohttp and the standard library alone


def encoded(value: object, what: str) -> bytes:
    """Compact UTF-8 without line breaks; `what` names the value in the `ValueError`."""
    try:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{what} cannot be written as JSON: {error}") from None


def decoded(octets: bytes | bytearray | str) -> object:
    """The value; raises `ValueError` for anything that is no JSON, however deep it is nested."""
    try:
        value: object = json.loads(octets)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is no JSON: {error}") from None
    return value


def mapping(value: object) -> dict[str, object]:
    """The value where it is a JSON object; an empty one where it is anything else."""
    return value if isinstance(value, dict) else {}
