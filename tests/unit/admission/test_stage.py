"""Facts about the stage: what is asked of whom, and what the next one takes over."""

from collections.abc import AsyncIterator, Mapping

import pytest

from proxy.admission.stage import Admission, AdmissionError
from proxy.config.settings import Settings, load_settings
from proxy.errors import BadValueError, ForbiddenError, RateLimitedError
from proxy.policy.grants import ANYBODY, Visitor
from proxy.registry.load import LoadRules, load
from proxy.registry.snapshot import LiveTool, Snapshot, succeed
from proxy.registry.surroundings import Surroundings
from tests.support.opa_server import OpaServer
from tests.support.witness import Heard

REGISTRY = b"""
servers:
- {namespace: a, name: a, port: 1, rate: 2/s, tools: [{name: t, rate: 1/s}, {name: u}]}
- {namespace: b, name: b, port: 1, tools: [{name: t}]}
"""


def settings(**flags: str) -> Settings:
    return load_settings(None, {}, {key.replace("__", "."): text for key, text in flags.items()})


def admission(before: Admission | None = None, /, **flags: str) -> Admission:
    return Admission(settings(**flags), {}, before)


def tool(name: str) -> LiveTool:
    loaded = load(REGISTRY, "registry.yaml", LoadRules.of(Settings()), {})
    around = Surroundings(lambda template: template, lambda _: True, Heard())
    *_, table = succeed(Snapshot(), loaded, around)
    return table.tools[name.encode()]


def count(stage: Admission, who: Visitor, address: bytes, name: str) -> bytes:
    return stage.take(stage.limits_of(who, address, tool(name)))


def test_nothing_is_admitted_by_nothing() -> None:
    open_to_all = admission()

    assert not open_to_all.needed(rated=False)
    assert open_to_all.needed(rated=True)
    assert not open_to_all.judges("a")
    assert open_to_all.limits_of(ANYBODY, b"", tool("b.t")) == ()


@pytest.mark.parametrize(
    "flags",
    [
        {"auth__api_keys": f"[{{name: ci, sha256: {'a' * 64}}}]"},
        {"auth__jwt": "{jwks_url: 'https://i/k', issuer: i, audience: a}"},
        {"policy__opa": "{url: 'http://127.0.0.1:1'}"},
        {"rate": "1/s"},
    ],
)
def test_each_of_these_is_something_to_admit_by(flags: Mapping[str, str]) -> None:
    assert admission(**flags).needed(rated=False)


@pytest.mark.parametrize(
    "flags",
    [
        {"auth__api_keys": "[{name: ci, key: '${UNSET}'}]"},
        {"auth__jwt": "{key_file: /no/such/key, issuer: i, audience: a}"},
    ],
)
def test_what_cannot_be_had_is_named(flags: Mapping[str, str]) -> None:
    with pytest.raises(AdmissionError):
        admission(**flags)


def test_call_falls_under_the_limits_of_server_and_tool() -> None:
    stage = admission()

    count(stage, ANYBODY, b"1.2.3.4", "a.t")
    with pytest.raises(RateLimitedError, match=r"1/s for tool a\.t"):
        count(stage, ANYBODY, b"1.2.3.4", "a.t")
    count(stage, ANYBODY, b"1.2.3.4", "a.u")
    with pytest.raises(RateLimitedError, match="2/s for server a"):
        count(stage, ANYBODY, b"1.2.3.4", "a.u")


def test_each_caller_has_a_limit_of_its_own() -> None:
    stage = admission(rate="1/s")

    for who, address in (
        (ANYBODY, b"1.1.1.1"),
        (ANYBODY, b"2.2.2.2"),
        (Visitor("ann"), b"1.1.1.1"),
    ):
        count(stage, who, address, "b.t")
        with pytest.raises(RateLimitedError):
            count(stage, who, address, "b.t")


def test_rate_of_a_key_is_for_all_that_it_is_shown_for() -> None:
    stage = admission()
    one = Visitor("ann", application="ci", rate=settings(rate="1/s").rate.caller)

    count(stage, one, b"", "b.t")
    with pytest.raises(RateLimitedError):
        count(stage, one.speaking_for("bob", ()), b"", "b.t")


async def test_what_was_counted_stays_counted_over_a_reload() -> None:
    before = admission(rate="1/s")
    count(before, ANYBODY, b"1.1.1.1", "b.t")

    after = admission(before, rate="1/s")

    with pytest.raises(RateLimitedError):
        count(after, ANYBODY, b"1.1.1.1", "b.t")
    await before.close(after)


async def test_what_stays_the_same_is_taken_over() -> None:
    flags = {
        "auth__jwt": "{jwks_url: 'https://i/k', issuer: i, audience: a}",
        "policy__opa": "{url: 'http://127.0.0.1:1'}",
        "rate": "redis://127.0.0.1:1",
    }
    before = admission(**flags)
    before.start()

    after = admission(before, **flags)
    after.start(before)

    assert (after.tokens, after.opa, after.shared) == (before.tokens, before.opa, before.shared)
    assert dict(after.state()) == {"policy.opa": "", "rate": before.shared.problem}  # type: ignore[union-attr]  # it is there
    await before.close(after)
    other = admission(after)
    assert (other.tokens, other.opa, other.shared) == (None, None, None)
    await after.close(other)


@pytest.fixture
async def opa() -> AsyncIterator[OpaServer]:
    server = OpaServer()
    await server.start()
    yield server
    await server.stop()


def judging(opa: OpaServer) -> Admission:
    return admission(policy__opa=f"{{url: '{opa.url}'}}")


@pytest.mark.parametrize(
    ("more", "sent"),
    [
        ({}, b'{"q":1}'),
        ({"filtered_parameters": {}}, b"{}"),
        ({"filtered_parameters": {"q": 2}}, b'{"q":2}'),
    ],
)
async def test_body_that_goes_on_is_what_was_judged(
    opa: OpaServer, more: dict[str, object], sent: bytes
) -> None:
    opa.says({"allow": True, **more})
    stage = judging(opa)

    body = await stage.judge(Visitor("ann"), tool("a.t"), b'{"q" : 1}', b"1.1.1.1", b"r")

    assert body == sent
    assert opa.inputs[0]["user"] == {"id": "ann", "teams": [], "application": None}
    assert opa.inputs[0]["context"]["client_ip"] == "1.1.1.1"
    await stage.close()


async def test_large_body_is_judged_too(opa: OpaServer) -> None:
    stage = judging(opa)
    body = b'{"q":"%b"}' % (b"x" * 100_000)

    assert await stage.judge(ANYBODY, tool("a.t"), body, b"", b"r") == body
    with pytest.raises(BadValueError):
        await stage.judge(ANYBODY, tool("a.t"), body + b"}", b"", b"r")
    await stage.close()


async def test_policy_says_why(opa: OpaServer) -> None:
    opa.says({"allow": False, "audit_reason": "not on Sundays"})
    stage = judging(opa)

    with pytest.raises(ForbiddenError, match="not on Sundays") as raised:
        await stage.judge(ANYBODY, tool("a.t"), b"{}", b"", b"r")

    assert raised.value.reason == "policy: not on Sundays"
    await stage.close()


async def test_policy_that_is_away_denies_and_is_told_of_once(
    opa: OpaServer, caplog: pytest.LogCaptureFixture
) -> None:
    stage = judging(opa)
    await opa.stop()

    for _ in range(3):
        with pytest.raises(ForbiddenError, match="could not be asked"):
            await stage.judge(ANYBODY, tool("a.t"), b"{}", b"", b"r")

    assert caplog.text.count("all is denied") == 1
    assert dict(stage.state())["policy.opa"]
    await stage.close()


async def test_server_that_is_not_named_is_not_judged(opa: OpaServer) -> None:
    stage = admission(policy__opa=f"{{url: '{opa.url}', servers: [b]}}")

    assert (stage.judges("a"), stage.judges("b")) == (False, True)
    await stage.close()
