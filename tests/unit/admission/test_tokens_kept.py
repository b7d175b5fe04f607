"""Facts about tokens in time: what is remembered of them, what that costs, and keys that change."""

from pathlib import Path
from time import perf_counter

import pytest

from proxy.admission.tokens import Tokens
from tests.support.token_issuer import (
    ALICE,
    NOW,
    Clock,
    KeyServer,
    key_set,
    outcome,
    rules,
    signer,
    verdict,
)


@pytest.fixture
def wall() -> Clock:
    return Clock(NOW)


@pytest.fixture
def tokens(tmp_path: Path, wall: Clock) -> Tokens:
    path = tmp_path / "keys.json"
    path.write_bytes(key_set(signer()))
    return Tokens(rules(str(path)), wall)


def test_verified_token_is_remembered_for_a_minute(tokens: Tokens, wall: Clock) -> None:
    token = signer().token()
    seen = [tokens.remembered(token)]
    outcome(tokens, token)
    for wall.now in (NOW, NOW + 59.9, NOW + 60, NOW - 1):
        seen.append(tokens.remembered(token))

    assert seen == [None, ALICE, ALICE, None, None]


def test_token_is_never_remembered_past_its_end(tokens: Tokens, wall: Clock) -> None:
    soon, late = signer().token(exp=NOW + 5), signer().token(exp=NOW - 5)
    for token in (soon, late):
        outcome(tokens, token)

    seen = [tokens.remembered(late), tokens.remembered(soon) is not None]
    wall.now = NOW + 5

    assert [*seen, tokens.remembered(soon)] == [None, True, None]


@pytest.mark.parametrize(
    ("pad", "kept"), [(0, ["c", "d", "e"]), (900, ["e"])], ids=["by-number", "by-size"]
)
def test_what_is_remembered_is_bounded(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch, pad: int, kept: list[str]
) -> None:
    monkeypatch.setattr("proxy.admission.tokens._REMEMBERED", 3)
    monkeypatch.setattr("proxy.admission.tokens._REMEMBERED_BYTES", 2_000)
    made = {name: signer().token(sub=name, pad="x" * pad) for name in "abcde"}
    for token in made.values():
        outcome(tokens, token)

    assert [name for name, token in made.items() if tokens.remembered(token)] == kept


def test_what_has_ended_is_not_kept(tokens: Tokens, wall: Clock) -> None:
    outcome(tokens, signer().token())
    wall.now = NOW + 61
    outcome(tokens, signer().token(sub="bob"))

    assert repr(tokens) == "<Tokens 1 remembered, <FileKeys 1 keys>>"


def test_nothing_secret_is_shown(tokens: Tokens) -> None:
    token = signer().token()
    outcome(tokens, token)

    shown = repr(tokens)

    assert (token.decode() in shown, "alice" in shown) == (False, False)


def test_asking_what_is_remembered_costs_little(tokens: Tokens) -> None:
    token = signer().token(pad="x" * 300)
    outcome(tokens, token)
    fresh = [bytes(bytearray(token)) for _ in range(1_000)]  # their hashes are not known yet

    began = perf_counter()
    for each in fresh:
        tokens.remembered(each)
    each_us = (perf_counter() - began) * 1e6 / len(fresh)

    assert each_us < 10


def test_garbage_costs_little(tokens: Tokens) -> None:
    garbage = signer().token().rpartition(b".")[0] + b"." + b"A" * 15_000

    began = perf_counter()
    for _ in range(20):
        outcome(tokens, garbage)

    assert (perf_counter() - began) / 20 < 0.005


async def test_key_that_is_rotated_in_flight_is_fetched_for_its_first_token(wall: Clock) -> None:
    async with KeyServer(key_set(signer())) as server:
        tokens = Tokens(rules(jwks_url=server.url), wall)
        before = await verdict(tokens, signer().token())
        server.body = key_set(signer(), signer(kid="second"))
        after = await verdict(tokens, signer(kid="second").token())
        await tokens.close()

    assert (before, after, server.fetches) == (ALICE, ALICE, 2)


async def test_what_a_key_proved_is_forgotten_when_the_key_is_gone(wall: Clock) -> None:
    async with KeyServer(key_set(signer())) as server:
        tokens = Tokens(rules(jwks_url=server.url), wall)
        token = signer().token()
        await tokens.verify(token)
        server.body = key_set(signer(kid="second"))
        await tokens.verify(signer(kid="second").token())
        seen = tokens.remembered(token), await verdict(tokens, token)
        await tokens.close()

    assert seen == (None, "the token is signed with a key that is not known")


async def test_without_keys_every_token_is_refused(wall: Clock) -> None:
    async with KeyServer() as server:
        server.status = 500
        tokens = Tokens(rules(jwks_url=server.url), wall)
        found = await verdict(tokens, signer().token())
        await tokens.close()

    assert found == (
        "the keys that tokens are checked with can't be fetched: the server answered 500"
    )


async def test_token_of_a_wrong_shape_causes_no_fetch(wall: Clock) -> None:
    async with KeyServer(key_set(signer())) as server:
        tokens = Tokens(rules(jwks_url=server.url), wall)
        for token in (b"", b"a.b.c", signer().token({"alg": "none"}), b"a" * 100_000):
            await verdict(tokens, token)
        await tokens.close()

    assert server.fetches == 0
