"""Which `server` answers for which host on which port, in an order where the first match wins.

Knows nginx's choice: exact names, then the longest wildcard, then the port's default. Does not know
what a server answers.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from proxy.conversion.directives import Directive
from proxy.conversion.listeners import Listening
from proxy.conversion.matches import is_under
from proxy.conversion.notes import Notes

_NAME: Final = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")

_SOCKETS: Final = 0  # the port that Unix sockets have here


class Turn(NamedTuple):
    """One server's turn; no hosts: whatever host is left. No port: on all of them."""

    port: int
    hosts: tuple[str, ...]
    server: Directive


def turns(listening: Sequence[Listening], notes: Notes) -> list[Turn]:
    """All turns of all ports; those of ports that are alike once."""
    names = {id(each.server): _names(each.server, notes) for each in listening}
    ports: dict[int, list[Listening]] = {}
    for each in listening:
        ports.setdefault(each.port, []).append(each)
    _compare_addresses(ports, notes)
    orders = {port: list(_order(here, names)) for port, here in ports.items()}
    first = next(iter(orders.values()), [])
    if all(order == first for order in orders.values()):
        return [Turn(0, hosts, server) for hosts, server in first]
    return [Turn(port, hosts, server) for port, order in orders.items() for hosts, server in order]


def that_can_be_told_apart(listening: Sequence[Listening], notes: Notes) -> list[Listening]:
    """All but Unix sockets with other servers than the ports have: routes know ports alone."""
    servers: dict[int, set[int]] = {}
    for each in listening:
        servers.setdefault(each.port, set()).add(id(each.server))
    of_sockets = servers.get(_SOCKETS)
    if of_sockets is None or all(here == of_sockets for here in servers.values()):
        return list(listening)
    for each in listening:
        if each.port == _SOCKETS:
            why = "routes can't tell a Unix socket from other listeners; run a sidecar of its own"
            notes.leave_out(each.origin, why)
    return [each for each in listening if each.port != _SOCKETS]


def _names(server: Directive, notes: Notes) -> tuple[str, ...]:
    found: list[str] = []
    for directive in server.inside:
        if directive.name != "server_name":
            continue
        for written in directive.args:
            name = written.lower().rstrip(".")
            if name in {"_", "", "localhost.localdomain"}:
                continue  # a name that nobody asks for: the usual way to say none
            whole = [name[1:], "*" + name] if name.startswith(".") else [name]
            if all(_NAME.fullmatch(each) for each in whole):
                found += whole
            else:
                why = f"{written}: a host is a name or *.suffix; write the names that are meant"
                notes.leave_out(directive, why)
    return tuple(dict.fromkeys(found))


def _compare_addresses(ports: Mapping[int, Sequence[Listening]], notes: Notes) -> None:
    """Ours are told apart by port alone."""
    for here in ports.values():
        by_address: dict[str, list[int]] = {}
        for each in here:
            by_address.setdefault(each.address, []).append(id(each.server))
        everywhere = next(iter(by_address.values()))
        for each in here:
            if by_address[each.address] != everywhere:
                why = "servers are told apart by port and host, not by address; use another port"
                notes.leave_out(each.origin, why)


def _order(
    here: Sequence[Listening], names: Mapping[int, tuple[str, ...]]
) -> Iterator[tuple[tuple[str, ...], Directive]]:
    servers = list({id(each.server): each.server for each in here}.values())
    default = next((each.server for each in here if each.is_default), servers[0])
    owners: dict[str, Directive] = {}
    for server in servers:
        for name in names[id(server)]:
            owners.setdefault(name, server)  # as nginx, which ignores the second
    late: list[tuple[str, Directive]] = []
    for server in servers:
        mine = [name for name in names[id(server)] if owners[name] is server]
        waiting = [name for name in mine if _covers_others(name, server, owners)]
        early = tuple(name for name in mine if name not in waiting)
        covered = any(is_under(name, other) for name in early for other in owners)
        if early and (server is not default or covered):
            yield early, server
        late += [(name, server) for name in waiting]
    for name, server in sorted(late, key=lambda each: len(each[0]), reverse=True):
        if server is not default or any(is_under(name, other) for other in owners):
            yield (name,), server
    yield (), default


def _covers_others(name: str, server: Directive, owners: Mapping[str, Directive]) -> bool:
    """Would its turn take names that are another server's?"""
    return any(is_under(other, name) for other, owner in owners.items() if owner is not server)
