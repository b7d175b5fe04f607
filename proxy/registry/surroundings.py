"""What a server is resolved against: secrets and credentials, as they are now.

Knows templates and names. Does not know where secrets lie, and never says one.
"""

from collections.abc import Callable, Mapping

from proxy.registry.cluster import Cluster
from proxy.registry.model import Server, Tool
from proxy.registry.witness import Witness


class Surroundings:
    """What a server is resolved against: secrets, credentials; who is told of it; and when."""

    __slots__ = ("fill", "is_set", "moment", "witness")

    def __init__(
        self,
        fill: Callable[[str], str | None],
        is_set: Callable[[str], bool],
        witness: Witness[Cluster],
        moment: float = 0.0,
    ) -> None:
        self.fill = fill
        self.is_set = is_set
        self.witness = witness
        self.moment = moment  # of this generation, in seconds of the epoch


def filled_in(spec: Server, around: Surroundings, last: Mapping[str, str]) -> dict[str, str]:
    """What each template stands for; for a secret that can't be had now, `last` says.

    Else a rotation that is not atomic would send calls out in nobody's name.
    """
    filled: dict[str, str] = {}
    for template in spec.inject_headers.values():
        value = around.fill(template)
        filled[template] = last.get(template, "") if value is None else value
    return filled


def missing_credentials(spec: Server, tool: Tool, around: Surroundings) -> tuple[str, ...]:
    """The names of those that the tool needs and that are not there."""
    needed = dict.fromkeys(spec.upstream_dependencies.credentials_required)
    if tool.upstream_dependencies is not None:
        needed |= dict.fromkeys(tool.upstream_dependencies.credentials_required)
    return tuple(name for name in needed if not around.is_set(name))
