"""Templates in settings: which text is constant, and which variables stand in between?

Knows nginx's variables by name. Knows nothing of what they stand for (see `wire.templates`).
"""

import re
from typing import Final

from proxy.config.shape import did_you_mean, text

NAMES: Final = frozenset(
    {
        "args",
        "host",
        "is_args",
        "proxy_add_x_forwarded_for",
        "remote_addr",
        "request_id",
        "request_method",
        "request_uri",
        "scheme",
        "server_port",
        "ssl_client_s_dn",
        "ssl_client_san",
        "ssl_client_verify",
        "ssl_protocol",
        "uri",
    }
)
PREFIXES: Final = ("arg_", "cookie_", "http_")
_LONGEST: Final = 64 * 1024
_SPECIAL: Final = re.compile(
    r"\$(?:(\$)|([1-9])|([A-Za-z_]\w*)|\{([A-Za-z_]\w*|[1-9])\}|)", re.ASCII
)

# Constant text and names of variables in turns, beginning and ending with text.
Template = tuple[str, ...]


def template(value: object) -> Template:
    """The parts of a text with `$name`, `${name}`, `$1` to `$9`, and `$$` for a dollar."""
    source = text(value)
    if len(source) > _LONGEST:
        raise ValueError(f"must not be longer than {_LONGEST} characters")
    parts = [""]
    at = 0
    for found in _SPECIAL.finditer(source):
        parts[-1] += source[at : found.start()]
        at = found.end()
        if found[1]:
            parts[-1] += "$"
        else:
            parts += (_known(found[2] or found[3] or found[4]), "")
    parts[-1] += source[at:]
    return tuple(parts)


def groups_in(parts: Template) -> int:
    """The highest of `$1` to `$9` in it; nought for none."""
    return max((int(name) for name in parts[1::2] if name.isdigit()), default=0)


def _known(name: str | None) -> str:
    if name is None:
        raise ValueError("$ stands before the name of a variable; a dollar is $$")
    if name.isdigit() or name in NAMES:
        return name
    if name.startswith(PREFIXES) and name not in PREFIXES:
        return name
    raise ValueError(f"unknown variable ${name}{did_you_mean(name, sorted(NAMES))}")
