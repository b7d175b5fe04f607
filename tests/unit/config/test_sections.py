"""Facts about the sections of the settings: their defaults, and what each key may be."""

import math
from typing import Any

import pytest

from proxy.config.sections import (
    Cors,
    Events,
    Limits,
    RegistrySettings,
    Secrets,
    Tracing,
    Upstreams,
    each,
    network,
)
from proxy.config.shape import fit, text

MIB = 1024 * 1024


def read(section: type, **keys: object) -> Any:
    value, problems = fit(section, keys)
    assert not problems, problems
    return value


def codes(section: type, **keys: object) -> list[tuple[str, str]]:
    return [(".".join(map(str, each.path)), each.code) for each in fit(section, keys).problems]


# --- events ---


def test_events_have_the_defaults_of_the_contract() -> None:
    assert read(Events) == Events(
        ring=10_000,
        max_subscribers=10_000,
        queue=1_000,
        queue_bytes=MIB,
        keepalive_s=15.0,
        journal="",
        journal_size_bytes=10 * MIB,
        journal_keep=5,
        tail=(),
        bus="",
    )


def test_every_key_of_events_is_read() -> None:
    said = read(
        Events,
        ring=1,
        max_subscribers=2,
        queue=3,
        queue_bytes="64KiB",
        keepalive="200ms",
        journal="var/telemetry/events.jsonl",
        journal_size="1MiB",
        journal_keep=0,
        tail=["/var/log/a.jsonl", "b.jsonl"],
        bus="redis://h:6379/0",
    )

    assert said == Events(
        ring=1,
        max_subscribers=2,
        queue=3,
        queue_bytes=65_536,
        keepalive_s=0.2,
        journal="var/telemetry/events.jsonl",
        journal_size_bytes=MIB,
        journal_keep=0,
        tail=("/var/log/a.jsonl", "b.jsonl"),
        bus="redis://h:6379/0",
    )


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        *[(key, 0, "BAD_VALUE") for key in ("ring", "max_subscribers", "queue", "queue_bytes")],
        *[(key, -1, "BAD_VALUE") for key in ("ring", "max_subscribers", "queue", "queue_bytes")],
        *[(key, True, "BAD_TYPE") for key in ("ring", "max_subscribers", "queue", "keepalive")],
        *[(key, "many", "BAD_TYPE") for key in ("ring", "max_subscribers", "queue")],
        ("ring", 1.5, "BAD_TYPE"),
        ("queue_bytes", "1 GB", "BAD_VALUE"),
        ("keepalive", 0, "BAD_VALUE"),
        ("keepalive", "0s", "BAD_VALUE"),
        ("keepalive", -1, "BAD_VALUE"),
        ("keepalive", math.inf, "BAD_VALUE"),
        ("keepalive", math.nan, "BAD_VALUE"),
        ("journal", "a\nb", "BAD_VALUE"),
        ("journal", 7, "BAD_TYPE"),
        ("journal_size", 0, "BAD_VALUE"),
        ("journal_keep", -1, "BAD_VALUE"),
        ("journal_keep", 1_001, "BAD_VALUE"),
        ("journal_keep", 1.0, "BAD_TYPE"),
        ("tail", {"a": 1}, "BAD_TYPE"),
        ("tail", [""], "BAD_VALUE"),
        ("tail", ["a", 7], "BAD_TYPE"),
        ("bus", "http://h", "BAD_VALUE"),
        ("bus", "redis://", "BAD_VALUE"),
        ("bus", "redis://a b", "BAD_VALUE"),
        ("rings", 1, "UNKNOWN_KEY"),
    ],
)
def test_events_that_cannot_be_are_refused(key: str, value: object, code: str) -> None:
    assert codes(Events, **{key: value}) == [(key, code)]


def test_ring_that_no_memory_holds_is_refused() -> None:
    """A list of so many places can't be made; a reload that tries ends half-way."""
    assert codes(Events, ring=10**12) == [("ring", "BAD_VALUE")]


def test_keep_alive_that_never_rests_is_refused() -> None:
    """The timer comes round four times in each."""
    assert codes(Events, keepalive="0.000001s") == [("keepalive", "BAD_VALUE")]


@pytest.mark.parametrize("url", ["redis://h", "rediss://u:p@h:6379/0", "unix:///run/redis.sock"])
def test_bus_is_any_redis(url: str) -> None:
    assert read(Events, bus=url).bus == url


def test_one_file_to_follow_needs_no_list() -> None:
    assert read(Events, tail="/a").tail == ("/a",)


# --- tracing ---


def test_tracing_is_off_and_samples_everything() -> None:
    assert read(Tracing) == Tracing(otlp="", sample=1.0)


@pytest.mark.parametrize("sample", [0, 0.25, 1])
def test_part_of_the_traces_is_a_share(sample: float) -> None:
    said = read(Tracing, otlp="http://collector:4318", sample=sample)

    assert (said.otlp, said.sample) == ("http://collector:4318", sample)


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("sample", -0.1, "BAD_VALUE"),
        ("sample", 1.1, "BAD_VALUE"),
        ("sample", math.nan, "BAD_VALUE"),
        ("sample", "half", "BAD_TYPE"),
        ("sample", True, "BAD_TYPE"),
        ("otlp", "collector:4318", "BAD_VALUE"),
        ("otlp", "grpc://collector", "BAD_VALUE"),
        ("otlp", "http://", "BAD_VALUE"),
        ("otlp", "http://a b", "BAD_VALUE"),
        ("otlp", 4318, "BAD_TYPE"),
    ],
)
def test_tracing_that_cannot_be_is_refused(key: str, value: object, code: str) -> None:
    assert codes(Tracing, **{key: value}) == [(key, code)]


# --- the others ---


def test_other_sections_have_the_defaults_of_the_contract() -> None:
    assert read(RegistrySettings) == RegistrySettings(
        path="/app/config/registry.yaml", poll_interval_s=60.0, strict=False
    )
    assert read(Limits) == Limits(
        request_line_bytes=8 * 1024,
        head_bytes=32 * 1024,
        fields=128,
        head_timeout_s=10.0,
        idle_s=75.0,
        connections=10_000,
        read_buffer_bytes=64 * 1024,
        high_water_bytes=256 * 1024,
        low_water_bytes=64 * 1024,
    )
    assert read(Cors) == Cors(origins=(), headers=(), credentials=False, max_age_s=600.0)
    assert read(Secrets) == Secrets(env=(), dir="/run/secrets")
    assert read(Upstreams).deny == (
        "169.254.0.0/16",
        "fe80::/10",
        "unix:/run/docker.sock",
        "unix:/var/run/docker.sock",
        "unix:/run/containerd",
    )


@pytest.mark.parametrize(
    ("section", "keys", "problem"),
    [
        (Limits, {"high_water": 1, "low_water": 2}, ("low_water", "BAD_VALUE")),
        (Cors, {"origins": "*", "credentials": True}, ("credentials", "BAD_VALUE")),
        (Cors, {"origins": ["example.com"]}, ("origins", "BAD_VALUE")),
        (Cors, {"headers": ["a b"]}, ("headers", "BAD_VALUE")),
        (Secrets, {"dir": "run/secrets"}, ("dir", "BAD_VALUE")),
        (Upstreams, {"deny": ["unix:run"]}, ("deny", "BAD_VALUE")),
        (Upstreams, {"deny": ["10.0.0.1/8"]}, ("deny", "BAD_VALUE")),
    ],
)
def test_what_does_not_go_together_is_refused(
    section: type, keys: dict[str, object], problem: tuple[str, str]
) -> None:
    assert codes(section, **keys) == [problem]


# --- readers ---


@pytest.mark.parametrize(("value", "read_as"), [("a", ("a",)), (["a", "b"], ("a", "b")), ([], ())])
def test_one_string_is_a_list_of_one(value: object, read_as: tuple[str, ...]) -> None:
    assert each(text)(value) == read_as


@pytest.mark.parametrize("value", [7, None, {"a": "b"}, True])
def test_what_is_no_list_of_strings_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="expected a list of strings"):
        each(text)(value)


@pytest.mark.parametrize(
    ("written", "read_as"),
    [("10.0.0.0/8", "10.0.0.0/8"), ("::1", "::1/128"), ("1.2.3.4", "1.2.3.4/32")],
)
def test_network_is_read(written: str, read_as: str) -> None:
    assert network(written) == read_as


@pytest.mark.parametrize("written", ["", "10.0.0.0/33", "10.0.0.1/8", "example.com"])
def test_network_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="expected a network"):
        network(written)
