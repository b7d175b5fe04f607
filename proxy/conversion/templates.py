"""nginx's texts with variables, as the templates of our settings.

Knows which variables both have. Does not know where a text stands.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from proxy.conversion.notes import NotCarriedError

_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*|\d))", re.ASCII)
_NAMES: Final = (
    "remote_addr host http_host scheme request_uri uri args is_args request_method server_port"
    " request_id proxy_add_x_forwarded_for ssl_client_s_dn ssl_client_verify ssl_protocol"
)
_SAME: Final = frozenset(_NAMES.split())
_OTHER_NAMES: Final = {
    "document_uri": "uri",
    "query_string": "args",
    "content_type": "http_content_type",
    "content_length": "http_content_length",
}
_FAMILIES: Final = ("http_", "cookie_", "arg_")

Meanings = Mapping[str, str]  # of variables that nginx knows: templates of ours


def template(text: str, meanings: Meanings) -> str:
    """The same in our words; `NotCarriedError` names a variable that has none."""
    return _replaced(text, lambda name: _meaning(name, meanings))


def line(text: str, meanings: Meanings) -> str:
    """The same for a place where only visible characters may be."""
    if not text.isprintable():
        raise NotCarriedError("it holds characters that cannot be seen; take them out")
    return template(text, meanings)


def variables(text: str) -> list[str]:
    """The names of the variables in it."""
    return [match[1] or match[2] for match in _VARIABLE.finditer(text)]


def constant(text: str, meanings: Meanings) -> str:
    """What it says whoever calls; `NotCarriedError` if that depends on the request."""
    found = template(text, meanings)
    names = variables(found)
    if names:
        raise NotCarriedError(f"where it goes depends on ${names[0]}; name the place itself")
    return found


def only(text: str) -> str:
    """The name of the variable that is all of the text, or nothing."""
    match = _VARIABLE.fullmatch(text)
    return match[1] or match[2] if match else ""


def _replaced(text: str, meaning: Callable[[str], str]) -> str:
    parts, at = [], 0
    for match in _VARIABLE.finditer(text):
        parts += [_literal(text[at : match.start()]), meaning(match[1] or match[2])]
        at = match.end()
        if text[at : at + 1].isalnum() or text[at : at + 1] == "_":
            parts[-1] = _VARIABLE.sub(lambda found: "${" + (found[1] or found[2]) + "}", parts[-1])
    return "".join([*parts, _literal(text[at:])])


def _literal(text: str) -> str:
    return text.replace("$", "$$")


def _meaning(name: str, meanings: Meanings) -> str:
    if name in meanings:
        return meanings[name]
    name = _OTHER_NAMES.get(name, name)
    if name in _SAME or name.isdigit() or name.startswith(_FAMILIES):
        return f"${name}"
    raise NotCarriedError(f"there is no variable ${name}; write its value, or do without")
