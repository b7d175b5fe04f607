"""Whom do we ask, and in whose name? From options, environment and files.

Knows no HTTP. A credential is never shown, and never taken from the command line.
"""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from proxy.client.fields import caller_fields, visible
from proxy.client.session import base_url_of
from proxy.people.options import API_KEY, DEFAULT_URL, TOKEN, URL
from proxy.people.unusable import UnusableError

_USUAL_TIMEOUT_S: Final = 30.0
_MOST_CREDENTIAL_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A sidecar, and the credentials for it. `timeout_s` is None where none was asked for."""

    url: str
    api_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    timeout_s: float | None = None

    @classmethod
    def of(cls, options: Namespace, environ: Mapping[str, str]) -> "Asking":
        """Options over environment; raises `UnusableError`."""
        given = options.url or environ.get(URL) or DEFAULT_URL
        try:
            url = base_url_of(given)
        except ValueError as error:
            raise UnusableError(f"--url: {error}") from None
        return cls(
            url=url,
            api_key=_credential("--api-key-file", options.api_key_file, API_KEY, environ),
            token=_credential("--token-file", options.token_file, TOKEN, environ),
            timeout_s=options.timeout,
        )

    @property
    def answer_within_s(self) -> float:
        return self.timeout_s or _USUAL_TIMEOUT_S

    def fields(self, trace_id: str | None = None) -> dict[str, str]:
        """The header fields of a request; raises `UnusableError`."""
        try:
            return caller_fields(self.api_key, self.token, trace_id)
        except ValueError as error:
            raise UnusableError(str(error).replace("trace_id", "--trace")) from None


def _credential(
    option: str, path: str | None, variable: str, environ: Mapping[str, str]
) -> str | None:
    """What the file holds, else the variable; no variable is as good as an empty one."""
    value, name = environ.get(variable, ""), variable
    if path is not None:
        value, name = read_file(option, path, _MOST_CREDENTIAL_BYTES).decode("latin-1"), option
    elif not value:
        return None
    try:
        return visible(name, value.strip())
    except ValueError as error:
        raise UnusableError(str(error)) from None


def read_file(name: str, path: str, most_bytes: int) -> bytes:
    """A file that an argument names; raises `UnusableError`."""
    try:
        with Path(path).open("rb") as file:
            octets = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UnusableError(f"{name}: {path} cannot be read: {why}") from None
    if len(octets) > most_bytes:
        raise UnusableError(f"{name}: {path} has more than {most_bytes} bytes")
    return octets
