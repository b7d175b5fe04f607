"""In which forms is a credential taken, and where does it end? A call with a doubtful one is none.

What a caller shows to be let in stays here; what it shows to somebody else is not ours to judge.
"""

from collections.abc import Iterator

import pytest

from tests.support.admission_scene import (
    AS_CI,
    AS_NOBODY,
    AS_OPS,
    CI,
    OPS,
    UNKNOWN,
    bearer,
    code,
    digest,
    named,
    shared_scene,
    usual,
    verdict,
    x_api_key,
)
from tests.support.admission_tokens import token, trusting
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, post
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar

Scene = tuple[Origin, Sidecar]
CALL = "/tools/o.call"
FORWARDS = ["authorization", "x-api-key", "cookie"]


@pytest.fixture(scope="module")
def scene(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Keys alone; `f` asks for every credential."""
    forwarding = {"namespace": "f", "name": "f", "tools": [{"name": "call"}]}
    directory = tmp_path_factory.mktemp("credentials")
    settings = usual()
    f = {**forwarding, "forward_headers": FORWARDS}
    with shared_scene(loop_thread, directory, settings, f) as made:
        yield made


@pytest.fixture(scope="module")
def with_tokens(
    loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """Keys and tokens, either of which will do."""
    directory = tmp_path_factory.mktemp("tokens")
    settings = usual()
    keys = [named("ci", CI, allow=["o.*", "f.*"]), named("ops", OPS, admin=True)]
    settings["auth"] = {"api_keys": keys, "jwt": trusting(directory)}
    f = {"namespace": "f", "name": "f", "tools": [{"name": "call"}], "forward_headers": FORWARDS}
    with shared_scene(loop_thread, directory, settings, f) as made:
        yield made


@pytest.fixture
def origin(scene: Scene) -> Origin:
    scene[0].calls = []
    return scene[0]


@pytest.fixture
def sidecar(scene: Scene) -> Sidecar:
    return scene[1]


GOOD = {
    "key": [AS_CI],
    "lower-case-name": [b"x-api-key: " + CI.encode()],
    "upper-case-name": [b"X-API-KEY: " + CI.encode()],
    "white-space-around": [b"X-API-Key: \t " + CI.encode() + b" \t"],
    "bearer": [bearer(CI)],
    "lower-case-scheme": [b"authorization: bearer " + CI.encode()],
    "upper-case-scheme": [b"AUTHORIZATION: BEARER " + CI.encode()],
    "both-alike": [AS_CI, bearer(CI)],
}
BAD = {
    "none": [],
    "unknown": [AS_NOBODY],
    "unknown-bearer": [bearer(UNKNOWN)],
    "empty": [b"X-API-Key:"],
    "empty-bearer": [b"Authorization: Bearer"],
    "blank-bearer": [b"Authorization: Bearer  "],
    "empty-authorization": [b"Authorization:"],
    "empty-key-beside-a-good-one": [b"X-API-Key:", bearer(CI)],
    "no-scheme": [b"Authorization: " + CI.encode()],
    "basic": [b"Authorization: Basic " + CI.encode()],
    "other-scheme": [b"Authorization: ApiKey " + CI.encode()],
    "scheme-glued-on": [b"Authorization: Bearer" + CI.encode()],
    "scheme-in-the-key": [b"X-API-Key: Bearer " + CI.encode()],
    "two-words": [b"Authorization: Bearer " + CI.encode() + b" " + CI.encode()],
    "good-then-bad": [AS_CI, AS_NOBODY],
    "bad-then-good": [AS_NOBODY, AS_CI],
    "good-then-another": [AS_CI, AS_OPS],
    "two-bearers": [bearer(UNKNOWN), bearer(CI)],
    "listed": [b"X-API-Key: " + CI.encode() + b", " + CI.encode()],
    "good-key-bad-bearer": [AS_CI, bearer(UNKNOWN)],
    "bad-key-good-bearer": [AS_NOBODY, bearer(CI)],
    "begins-alike": [x_api_key(CI[:-1])],
    "goes-on": [x_api_key(CI + "x")],
    "other-case": [x_api_key(CI.swapcase())],
    "its-digest": [x_api_key(digest(CI))],
    "its-name": [x_api_key("ci")],
    "quoted": [b'X-API-Key: "' + CI.encode() + b'"'],
    "octets-above-ascii": [b"X-API-Key: \xff\xc3\xa9\x80"],
    "bearer-above-ascii": [b"Authorization: Bearer \xff\xc3\xa9\x80"],
    "good-with-octet-above-ascii": [AS_CI + b"\xa0"],
    "huge": [b"X-API-Key: " + b"k" * 30 * 1024],
    "huge-bearer": [b"Authorization: Bearer " + b"k" * 30 * 1024],
    "underscore": [b"X_API_Key: " + CI.encode()],
    "proxy-authorization": [b"Proxy-Authorization: Bearer " + CI.encode()],
    "cookie": [b"Cookie: X-API-Key=" + CI.encode()],
}


@pytest.mark.parametrize("fields", GOOD.values(), ids=GOOD)
def test_valid_credential_lets_in(sidecar: Sidecar, origin: Origin, fields: list[bytes]) -> None:
    answer = sidecar.ask(post(CALL, *fields))

    assert (answer.status, len(origin.calls)) == (200, 1)


@pytest.mark.parametrize("fields", BAD.values(), ids=BAD)
def test_doubtful_credential_refuses(sidecar: Sidecar, origin: Origin, fields: list[bytes]) -> None:
    call, listing = sidecar.ask(post(CALL, *fields)), sidecar.ask(get("/tools", *fields))

    assert verdict(call) == verdict(listing) == (401, "unauthenticated")
    assert origin.calls == []


def test_key_in_the_target_is_none(sidecar: Sidecar) -> None:
    for name in ("api_key", "x-api-key", "access_token", "key"):
        assert sidecar.ask(post(f"{CALL}?{name}={CI}")).status == 401


def test_two_callers_in_one_request_are_no_more_than_each(sidecar: Sidecar) -> None:
    """Who is let in by two credentials of two callers gets no union of what they may."""
    answers = [
        sidecar.ask(post("/tools/ox.call", *fields))
        for fields in ([AS_CI, bearer(OPS)], [AS_OPS, bearer(CI)])
    ]

    assert answers[0].status in {401, 403}
    assert answers[1].status in {200, 401}


def test_key_that_is_nominated_hop_by_hop_is_still_judged(sidecar: Sidecar, origin: Origin) -> None:
    nominated = b"Connection: x-api-key"

    answers = [sidecar.ask(post(CALL, key, nominated)) for key in (AS_NOBODY, AS_CI)]

    assert answers[0].status == 401
    assert all(visit.values("x-api-key") == [] for visit in origin.calls)


@pytest.mark.parametrize("fields", GOOD.values(), ids=GOOD)
def test_key_is_not_forwarded_even_where_it_is_asked_for(
    sidecar: Sidecar, origin: Origin, fields: list[bytes]
) -> None:
    as_ops = [field.replace(CI.encode(), OPS.encode()) for field in fields]

    answer = sidecar.ask(post("/tools/f.call", *as_ops, b"Cookie: a=b"))

    assert answer.status == 200
    assert OPS.encode() not in bytes(origin.calls[-1].wire)
    assert origin.calls[-1].value("cookie") == "a=b"


def test_token_is_forwarded_where_it_is_asked_for(with_tokens: Scene) -> None:
    origin, sidecar = with_tokens
    good = token()

    asked_for = sidecar.ask(post("/tools/f.call", bearer(good)))
    not_asked_for = sidecar.ask(post(CALL, bearer(good)))

    assert (asked_for.status, not_asked_for.status) == (200, 200)
    assert [visit.value("authorization") for visit in origin.calls[-2:]] == [f"Bearer {good}", None]


@pytest.mark.parametrize("secret", [CI, OPS], ids=["its-own", "another"])
def test_no_second_key_goes_on_as_a_token(sidecar: Sidecar, origin: Origin, secret: str) -> None:
    sidecar.ask(post("/tools/f.call", AS_OPS, bearer(secret)))

    assert all(visit.values("authorization") == [] for visit in origin.calls)


def test_other_scheme_beside_a_key_is_for_the_upstream(sidecar: Sidecar, origin: Origin) -> None:
    answer = sidecar.ask(post("/tools/f.call", AS_OPS, b"Authorization: Basic dTpw"))

    assert answer.status == 200
    assert origin.calls[-1].value("authorization") == "Basic dTpw"


def test_key_beside_a_token_stays_here(with_tokens: Scene) -> None:
    origin, sidecar = with_tokens
    good = token()

    answer = sidecar.ask(post("/tools/f.call", bearer(good), AS_CI))

    assert answer.status == 200
    assert origin.calls[-1].value("authorization") == f"Bearer {good}"
    assert CI.encode() not in bytes(origin.calls[-1].wire)


@pytest.mark.parametrize(
    "fields",
    [
        [bearer(CI)],
        [AS_CI, b"Authorization: Bearer a.b.c"],
        [AS_CI, bearer(token(lives_for_s=-600))],
        [AS_NOBODY, bearer(token())],
        [bearer(token()), bearer(token())],
        [bearer(token(aud="somebody"))],
        [bearer(token(iss="https://elsewhere.example"))],
        [bearer(token() + "x")],
        [bearer("x" * 100 * 1024)],
        [x_api_key(token())],
    ],
    ids=[
        "key-where-a-token-belongs",
        "good-key-bad-token",
        "good-key-old-token",
        "bad-key-good-token",
        "two-tokens",
        "for-somebody-else",
        "from-somebody-else",
        "signature-spoilt",
        "huge",
        "token-where-a-key-belongs",
    ],
)
def test_where_tokens_are_spoken_an_invalid_one_refuses(
    with_tokens: Scene, fields: list[bytes]
) -> None:
    origin, sidecar = with_tokens
    before = len(origin.calls)

    answer = sidecar.ask(post(CALL, *fields))

    assert verdict(answer) in {(401, "unauthenticated"), (431, "headers_too_large")}
    assert len(origin.calls) == before


def test_unsigned_token_is_nothing(with_tokens: Scene) -> None:
    header, payload, _ = token().split(".")
    none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"

    for forged in (f"{none}.{payload}.", f"{none}.{payload}.x", f"{header}.{payload}."):
        assert verdict(with_tokens[1].ask(post(CALL, bearer(forged)))) == (401, "unauthenticated")


def test_both_are_needed_where_both_are_required(
    loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("both")
    settings = usual()
    keys = [named("ci", CI, allow=["o.*"])]
    settings["auth"] = {"api_keys": keys, "jwt": trusting(directory), "require": ["key", "jwt"]}
    with shared_scene(loop_thread, directory, settings) as (origin, sidecar):
        alone = [sidecar.ask(post(CALL, each)) for each in (AS_CI, bearer(token()), bearer(CI))]
        both = sidecar.ask(post(CALL, AS_CI, bearer(token())))
        one_too_many = sidecar.ask(post(CALL, AS_NOBODY, bearer(token())))

        assert [verdict(answer) for answer in alone] == [(401, "unauthenticated")] * 3
        assert (both.status, len(origin.calls)) == (200, 1)
        assert code(one_too_many) == "unauthenticated"
