"""What the settings say, in the words of the data plane."""

import ipaddress
import logging

from proxy.config.settings import Settings
from proxy.data_plane.door import Entry
from proxy.data_plane.roles import Rules
from proxy.descriptors import room_for_callers
from proxy.policy.browser import CorsRules
from proxy.wire.reader import HeadLimits

_LOG = logging.getLogger("toolproxy")


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
