"""What the settings say, in the words of the data plane."""

import ipaddress
import logging
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from proxy.config.listeners import Listener, Tls
from proxy.config.settings import Settings
from proxy.data_plane.door import Entry
from proxy.data_plane.roles import Rules
from proxy.descriptors import room_for_callers
from proxy.policy.browser import CorsRules
from proxy.policy.routes import RouteTable
from proxy.wire.reader import HeadLimits

_LOG = logging.getLogger("toolproxy.limits")


def heads(settings: Settings) -> HeadLimits:
    limits = settings.limits
    return HeadLimits(
        limits.request_line_bytes,
        limits.head_bytes,
        limits.fields,
        settings.underscores == "allow",
    )


def rules(settings: Settings) -> Rules:
    limits = settings.limits
    return Rules(
        heads=heads(settings),
        head_timeout_s=limits.head_timeout_s,
        idle_s=limits.idle_s,
        read_buffer_bytes=limits.read_buffer_bytes,
        high_water_bytes=limits.high_water_bytes,
        low_water_bytes=limits.low_water_bytes,
        half_close=settings.half_close,
    )


def cors(settings: Settings) -> CorsRules | None:
    said = settings.cors
    if not said.origins:
        return None
    return CorsRules(
        frozenset(origin.encode() for origin in said.origins),
        tuple(header.encode() for header in said.headers),
        credentials=said.credentials,
        max_age_s=int(said.max_age_s),
    )


def routes(settings: Settings) -> RouteTable | None:
    """None where there are none: then nothing is to be matched."""
    if not settings.routes:
        return None
    return RouteTable(
        settings.routes,
        merge_slashes=settings.merge_slashes,
        resolve_dots=settings.dot_segments == "resolve",
    )


def entry(settings: Settings, descriptors: int) -> Entry:
    wanted, room = settings.limits.connections, room_for_callers(descriptors)
    if room < wanted:
        _LOG.warning(
            "limits.connections is %d, but %d descriptors (RLIMIT_NOFILE) leave room for %d",
            wanted,
            descriptors,
            room,
        )
    return Entry(
        connections=min(wanted, room),
        origins=cors(settings),
        hosts=frozenset(host.lower().encode() for host in settings.allowed_hosts),
        trusted=tuple(ipaddress.ip_network(each) for each in settings.trusted_proxies),
    )


def unchangeable(before: Settings, after: Settings) -> Iterator[str]:
    """The keys that differ, and that only a start takes up."""
    if not _listens_alike(before, after):
        yield "listen"
    sections = (("", before, after), ("registry.", before.registry, after.registry))
    for prefix, old, new in (*sections, ("events.", before.events, after.events)):
        for field in msgspec.structs.fields(old):
            key = f"{prefix}{field.encode_name}"
            if key in _AT_A_START and getattr(old, field.name) != getattr(new, field.name):
                yield key


def as_reloaded(running: Settings, newer: Settings) -> Settings:
    """The newer settings, but for what only a start takes up."""
    registry, events = running.registry, running.events
    kept = replace(
        newer.registry,
        path=registry.path,
        url=registry.url,
        poll_interval_s=registry.poll_interval_s,
    )
    return replace(
        newer,
        listen=newer.listen if _listens_alike(running, newer) else running.listen,
        admin=running.admin,
        workers=running.workers,
        registry=kept,
        events=replace(newer.events, bus=events.bus),
        tracing=running.tracing,
    )


def _listens_alike(one: Settings, other: Settings) -> bool:
    return [*map(_without_files, one.listen)] == [*map(_without_files, other.listen)]


def _without_files(listener: Listener) -> Listener:
    """What certificates are shown and asked for can change at any time."""
    return replace(listener, tls=Tls(cert="-", key="-") if listener.tls else None)


_AT_A_START: Final = frozenset(
    {
        "admin",
        "events.bus",
        "registry.path",
        "registry.poll_interval",
        "registry.url",
        "tracing",
        "workers",
    }
)
