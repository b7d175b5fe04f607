"""nginx's `if (…)`, and the entries of a `map`, as what a route asks for.

Knows the variables that routes can ask about. Does not know what follows from them.
"""

import re
from collections.abc import Sequence
from typing import Final

from proxy.conversion.matches import Match
from proxy.conversion.notes import NotCarriedError
from proxy.conversion.templates import only

_ONE_OF: Final = re.compile(r"\*?\^\(?([A-Za-z0-9.*_\\|-]+)\)?\$")
_WORD: Final = re.compile(r"[A-Za-z0-9._-]+")
_UNTOLD: Final = "routes ask for host, method, scheme, port and headers; let the application decide"


def condition(words: Sequence[str]) -> tuple[Match, bool]:
    """What must hold; or, if the second is true, must not."""
    name = only(words[0]) if words else ""
    if not name:
        raise NotCarriedError("files and texts are not looked at; let the application decide")
    if len(words) == 1:
        return _present(name), False
    operator, value = words[1], " ".join(words[2:])
    if operator in {"=", "!="} and not value:
        return _present(name), operator == "="
    if operator in {"=", "!="}:
        return _asked(name, (value,)), operator == "!="
    if operator in {"~", "~*", "!~", "!~*"}:
        return _asked(name, _alternatives(value)), operator.startswith("!")
    raise NotCarriedError(_UNTOLD)


def header_name(variable: str) -> str:
    """`http_x_canary` is `X-Canary`."""
    return "-".join(part.capitalize() for part in variable.removeprefix("http_").split("_"))


def _present(name: str) -> Match:
    if not name.startswith("http_") or name == "http_host":
        raise NotCarriedError(_UNTOLD)
    return Match(headers=((header_name(name), "*"),))


def _asked(name: str, values: tuple[str, ...]) -> Match:
    if any("$" in value for value in values):
        raise NotCarriedError("a route compares with what is written; write the value itself")
    match name:
        case "host" | "http_host":
            return Match(hosts=tuple(value.lower() for value in values))
        case "request_method":
            return Match(methods=values)
        case "scheme" if len(values) == 1:
            return Match(scheme=values[0])
        case "server_port" if len(values) == 1 and values[0].isdecimal():
            return Match(port=int(values[0]))
        case _ if name.startswith("http_") and len(values) == 1:
            return Match(headers=((header_name(name), values[0]),))
        case _ if name.startswith("cookie_"):
            raise NotCarriedError("a route asks for whole headers, not one cookie; send a header")
        case _:
            raise NotCarriedError(_UNTOLD)


def _alternatives(expression: str) -> tuple[str, ...]:
    """`^(GET|HEAD)$` asks for one of them; any other expression is too much."""
    match = _ONE_OF.fullmatch(expression)
    found = tuple(each.replace("\\.", ".") for each in match[1].split("|")) if match else ()
    if not found or not all(_WORD.fullmatch(each) for each in found):
        raise NotCarriedError("only ^(this|that)$ can be asked for; list the values")
    return found
