"""Facts about publishing to a URL, with a real server on loopback that does what a test says."""

import time
from argparse import Namespace
from collections.abc import Callable
from typing import Final

import orjson
import pytest

from proxy.people.unusable import UnusableError
from proxy.publishing.http_target import HttpTarget
from proxy.publishing.refusal import RefusedError
from proxy.publishing.targets import Parcel, There
from tests.support.loop_thread import LoopThread
from tests.support.messages import message, ok
from tests.support.origin import Origin, Visit
from tests.support.ports import refusing_port
from tests.support.scripts import answers, holds, in_turn
from tests.support.signatures import signed
from tests.support.starters import StartOrigin

DOCUMENT: Final[dict[str, object]] = {"servers": []}
PARCEL: Final = Parcel(b"servers: []", b'{"servers":[]}', signed(DOCUMENT))
LARGE: Final = Parcel(b"", b'{"servers":["%b"]}' % (b"a" * 3_000_000), None)
KEY: Final = "the-key-of-somebody"
PATH: Final = "/registry/profiles/fleet/prod"
DONE: Final = message(b"HTTP/1.1 201 Created", b"Content-Length: 2", body=b"{}")
NOTHING: Final = message(b"HTTP/1.1 404 Not Found", b"Content-Length: 0")


def refusal(status: int) -> bytes:
    body = orjson.dumps({"status": status, "detail": "Not so", "code": "registry_rejected"})
    line = b"HTTP/1.1 %d No" % status
    fields = (b"Content-Type: application/problem+json", b"Content-Length: %d" % len(body))
    return message(line, *fields, body=body)


def target_at(url: str, *, key: str = "", timeout_s: float = 20.0) -> HttpTarget:
    options = Namespace(url=None, api_key_file=None, token_file=None, timeout=timeout_s)
    return HttpTarget(url, options, {"TOOLPROXYCTL_API_KEY": key})


def quiet(gone: int, total: int) -> None:
    _ = (gone, total)


def the_call(origin: Origin) -> Visit:
    (visit,) = origin.calls
    return visit


def test_an_artifact_is_put_whole(start_origin: StartOrigin) -> None:
    origin = start_origin(answers(DONE))

    target_at(origin.url + PATH + "?a=b", key=KEY).put(PARCEL, None, quiet)

    visit = the_call(origin)
    told = (visit.method, visit.target, visit.value("x-api-key"), visit.value("content-type"))
    assert told == (b"PUT", f"{PATH}?a=b".encode(), KEY, "application/json")
    assert (bytes(visit.body), visit.value("content-length")) == (
        PARCEL.artifact,
        str(len(PARCEL.artifact)),
    )


@pytest.mark.parametrize(
    ("before", "fields"),
    [
        pytest.param(None, (None, "*"), id="nothing-there"),
        pytest.param(There(b"a", mark='"tag"'), ('"tag"', None), id="tagged"),
        pytest.param(There(b"a"), (None, None), id="no-tag"),
        pytest.param(There(b"a", mark='W/"tag"'), (None, None), id="weak-tag"),
        pytest.param(There(b"a", mark='"a" , "b"'), (None, None), id="no-single-tag"),
    ],
)
def test_only_what_was_looked_at_is_replaced(
    start_origin: StartOrigin, before: There | None, fields: tuple[str | None, str | None]
) -> None:
    origin = start_origin(answers(DONE))

    target_at(origin.url + PATH).put(PARCEL, before, quiet)

    visit = the_call(origin)
    assert (visit.value("if-match"), visit.value("if-none-match")) == fields


def test_what_lies_there_comes_with_its_tag(start_origin: StartOrigin) -> None:
    origin = start_origin(in_turn(answers(ok(b"a: b", b'ETag: "t"')), answers(NOTHING)))
    target = target_at(origin.url + PATH, key=KEY)

    assert [target.look(), target.look()] == [There(b"a: b", mark='"t"'), None]
    assert [visit.value("x-api-key") for visit in origin.calls] == [KEY, KEY]


REFUSALS: Final = {
    "overtaken": (refusal(412), "by somebody else meanwhile"),
    "rejected": (refusal(422), "Not so"),
    "elsewhere": (
        message(b"HTTP/1.1 307 Over there", b"Location: /other", b"Content-Length: 0"),
        "307",
    ),
    "no-http": (b"nonsense\r\n\r\n", "did not answer"),
}


@pytest.mark.parametrize(("answer", "said"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_is_one_sentence(start_origin: StartOrigin, answer: bytes, said: str) -> None:
    origin = start_origin(answers(answer, close=True))

    with pytest.raises(RefusedError, match=said) as error:
        target_at(origin.url + PATH, key=KEY).put(PARCEL, None, quiet)

    assert (len(origin.calls), KEY in str(error.value)) == (1, False)


def test_to_be_sent_elsewhere_is_no_answer(start_origin: StartOrigin) -> None:
    elsewhere = message(b"HTTP/1.1 302 Found", b"Location: /other", b"Content-Length: 0")
    origin = start_origin(answers(elsewhere))

    with pytest.raises(RefusedError, match="302"):
        target_at(origin.url + PATH).look()

    assert len(origin.calls) == 1


def test_nobody_there_is_one_sentence() -> None:
    with refusing_port() as port:
        target = target_at(f"http://127.0.0.1:{port}{PATH}")

        with pytest.raises(RefusedError, match="Nothing answers"):
            target.look()
        with pytest.raises(RefusedError, match="Nothing answers"):
            target.put(PARCEL, None, quiet)


def test_an_upload_tells_how_far_it_is(start_origin: StartOrigin) -> None:
    origin = start_origin(answers(DONE))
    told: list[tuple[int, int]] = []

    target_at(origin.url + PATH).put(LARGE, None, lambda *how_far: told.append(how_far))

    total = len(LARGE.artifact)
    assert (told[0], told[-1]) == ((65_536, total), (total, total))
    assert the_call(origin).body == LARGE.artifact


def test_a_server_that_says_nothing_is_not_waited_for(
    start_origin: StartOrigin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate, answers(DONE)))

    with pytest.raises(RefusedError, match=r"nothing moved for 0\.2 s"):
        target_at(origin.url + PATH, timeout_s=0.2).put(PARCEL, None, quiet)

    gate.open()


def test_a_slow_upload_that_gets_on_is_waited_for(start_origin: StartOrigin) -> None:
    origin = start_origin(answers(DONE))
    parcel = Parcel(b"", b'"%b"' % (b"a" * 500_000), None)

    def dawdles(gone: int, total: int) -> None:
        _ = (gone, total)
        time.sleep(0.1)  # eight times

    target_at(origin.url + PATH, timeout_s=0.6).put(parcel, None, dawdles)

    assert the_call(origin).complete


@pytest.mark.parametrize(
    ("path", "profile"),
    [
        (PATH, "fleet/prod"),
        ("/behind/a/prefix/registry/profiles/fleet/prod", "fleet/prod"),
        ("/registry/profiles/fleet", "default"),
        ("/registry.json", "default"),
    ],
)
def test_the_profile_is_that_of_the_place(path: str, profile: str) -> None:
    assert target_at(f"https://host{path}").profile == profile


@pytest.mark.parametrize(
    "url",
    [
        "https://user:secret@host/a",
        "https://:secret@host/a",
        "https:///a",
        "https://host",
        "https://host/",
        "https://host/a#b",
        "https://host:0/a",
        "https://host:99999/a",
        "https://[::1/a",
    ],
)
def test_what_is_no_place_is_refused(url: str) -> None:
    with pytest.raises(UnusableError, match="TARGET") as error:
        target_at(url)

    assert "secret" not in str(error.value)


KEEPS: Final[dict[str, Callable[[str], object]]] = {
    "https://host/a": lambda url: target_at(url, key=KEY).name,
    "http://127.0.0.9:1/a": lambda url: target_at(url, key=KEY).name,
    "http://[::1]:1/a": lambda url: target_at(url, key=KEY).name,
    "http://localhost/a": lambda url: target_at(url, key=KEY).name,
    "http://host/a": lambda url: target_at(url).name,
}


@pytest.mark.parametrize("url", KEEPS)
def test_a_key_goes_where_nobody_reads_it_on_the_way(url: str) -> None:
    assert KEEPS[url](url) == url


@pytest.mark.parametrize("host", ["host", "127.0.0.1.host", "localhost.host", "10.0.0.1", "[::2]"])
def test_a_key_never_goes_in_plain_text(host: str) -> None:
    with pytest.raises(UnusableError, match="use https://") as error:
        target_at(f"http://{host}/a", key=KEY)

    assert KEY not in str(error.value)
