"""What nginx is told for all servers together, as settings.

Knows processes, logs, trusted peers and what a caller may ask. Does not know servers and routes.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from proxy.conversion.directives import Directive, Level
from proxy.conversion.measures import milliseconds, octets, size, span
from proxy.conversion.notes import NotCarriedError, Notes

_LEVELS: Final = {
    "debug": "debug",
    "info": "info",
    "notice": "info",
    "warn": "warning",
    "error": "error",
    "crit": "error",
    "alert": "error",
    "emerg": "error",
}
_BELIEVED: Final = ("X-Forwarded-For", "proxy_protocol")
_MOST_WORKERS: Final = 256


class Setting(NamedTuple):
    """One key of proxy.yaml, and where it comes from or why it is there."""

    remark: str
    key: str
    value: Any


def settings(top: Level, http: Level, servers: Sequence[Level], notes: Notes) -> list[Setting]:
    found: list[Setting] = []
    events = tuple(each for block in top.own("events") for each in block.inside)
    every = [Level((*top.block, *events)), http, *servers]
    for part in (_workers, _logs, _trusted):
        found += part(every, notes)
    found += _paths(http, servers, notes)
    limits = dict(_limits(every, notes))
    return found + ([Setting("", "limits", limits)] if limits else [])


def _last(levels: Sequence[Level], name: str) -> Directive | None:
    found = [directive for level in levels for directive in level.own(name)]
    return found[-1] if found else None


def _workers(levels: Sequence[Level], notes: Notes) -> Iterator[Setting]:
    directive = _last(levels, "worker_processes")
    if directive is not None:
        if directive.first == "auto":
            yield Setting(directive.place, "workers", "auto")
        elif directive.first.isdecimal() and 1 <= int(directive.first[:9]) <= _MOST_WORKERS:
            yield Setting(directive.place, "workers", int(directive.first))
        else:
            notes.leave_out(directive, f"expected auto, or 1 to {_MOST_WORKERS}")
    drain = _last(levels, "worker_shutdown_timeout")
    if drain is not None:
        try:
            yield Setting(drain.place, "drain_timeout", span(milliseconds(drain.first)))
        except NotCarriedError as error:
            notes.leave_out(drain, str(error))


def _logs(levels: Sequence[Level], notes: Notes) -> Iterator[Setting]:
    directive = _last(levels[:2], "error_log")
    for other in (each for level in levels[2:] for each in _below(level, "error_log")):
        notes.leave_out(other, "there is one log of errors, on standard error; see log_level")
    if directive is not None:
        word = directive.args[1] if len(directive.args) > 1 else "info"
        if word in _LEVELS:
            remark = f"{directive.place}; to standard error, not to {directive.first}"
            yield Setting(remark, "log_level", _LEVELS[word])
        else:
            notes.leave_out(directive, "expected debug, info, warn or error")
    yield from _access_log(levels, notes)


def _access_log(levels: Sequence[Level], notes: Notes) -> Iterator[Setting]:
    said = [each for level in levels[:2] for each in level.own("access_log")]
    said += [each for level in levels[2:] for each in _below(level, "access_log")]
    files = [each for each in said if each.first != "off"]
    if not files:
        return
    chosen = files[0]
    for each in said:
        if each.first != chosen.first:
            notes.leave_out(each, f"there is one log of requests: {chosen.first}")
    if chosen.first.startswith("syslog:") or "$" in chosen.first:
        notes.leave_out(chosen, "requests are written to a file, or to /dev/stdout; name it")
        return
    written = chosen.args[1] if len(chosen.args) > 1 else "combined"
    if "=" not in written and written != "combined":
        notes.leave_out(chosen, f"{written}: lines are combined, or json (access_format)")
    yield Setting(chosen.place, "access_log", chosen.first)


def _below(level: Level, name: str) -> Iterator[Directive]:
    """All of this name at a level, and in what lies in it."""
    for directive in level.block:
        if directive.name == name:
            yield directive
        elif directive.name in {"location", "if"}:
            yield from _below(Level(directive.inside), name)


def _trusted(levels: Sequence[Level], notes: Notes) -> Iterator[Setting]:
    said = [directive for level in levels for directive in level.own("set_real_ip_from")]
    header = _last(levels, "real_ip_header")
    name = header.first if header else "X-Real-IP"
    if said and name.lower() not in {each.lower() for each in _BELIEVED}:
        directive = header or said[0]
        why = f"{name}: who is in front is believed in X-Forwarded-For and the PROXY protocol"
        notes.leave_out(directive, why)
    networks = [each.first for each in said if each.first != "unix:"]
    if networks:
        yield Setting(said[0].place, "trusted_proxies", list(dict.fromkeys(networks)))
    for level in levels[2:]:
        for listen in level.own("listen"):
            if "proxy_protocol" in listen.args and not said:
                why = "who sends the PROXY protocol must be in trusted_proxies; name them there"
                notes.leave_out(listen, why)


def _paths(http: Level, servers: Sequence[Level], notes: Notes) -> Iterator[Setting]:
    off = [each for each in servers or [http] if each.word("merge_slashes", "on") == "off"]
    merged = len(off) < len(servers or [http])
    if off and merged:
        directive = off[0].said("merge_slashes")
        if directive is not None:
            notes.leave_out(directive, "slashes are merged for all servers, or for none")
    yield Setting("as nginx does it; set false to send paths on untouched", "merge_slashes", merged)
    yield Setting("as nginx does it; reject is safer", "dot_segments", "resolve")
    allowed = next((each for each in servers if _allows_underscores(each)), None)
    if allowed is not None:
        directive = allowed.said("underscores_in_headers")
        yield Setting(directive.place if directive else "", "underscores", "allow")


def _allows_underscores(level: Level) -> bool:
    return level.word("underscores_in_headers", "off") == "on"


def _limits(levels: Sequence[Level], notes: Notes) -> Iterator[tuple[str, Any]]:
    for name, key in (("client_header_timeout", "head_timeout"), ("keepalive_timeout", "idle")):
        spans = list(_spans_ms(levels, name, notes))
        if spans:
            yield key, span(max(spans))
    buffers = _last(levels, "large_client_header_buffers")
    if buffers is not None and len(buffers.args) > 1 and buffers.first.isdecimal():
        try:
            each = octets(buffers.args[1])
            yield "request_line", size(each)
            yield "head", size(each * int(buffers.first[:4]))
        except NotCarriedError as error:
            notes.leave_out(buffers, str(error))
    connections, processes = (_last(levels, f"worker_{it}") for it in ("connections", "processes"))
    if connections is not None and connections.first.isdecimal():
        many = processes is not None and processes.first.isdecimal()
        workers = int(processes.first[:3]) if processes is not None and many else 1
        yield "connections", int(connections.first[:9]) * max(workers, 1) or 1


def _spans_ms(levels: Sequence[Level], name: str, notes: Notes) -> Iterator[int]:
    for level in levels:
        for directive in level.own(name):
            try:
                yield milliseconds(directive.first) or 1
            except NotCarriedError as error:
                notes.leave_out(directive, str(error))
