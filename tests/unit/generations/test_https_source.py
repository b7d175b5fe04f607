"""Facts about a registry at a URL: what is read, when it comes again, and what is refused."""

from typing import Final

import pytest

from proxy.generations.https_source import HttpsSource, place_of
from proxy.generations.source import SIGNATURE_BYTES, AwayError, SourceError
from tests.support.https_reading import NEVER_S, PATH, read, tag_of
from tests.support.messages import ok
from tests.support.registry_host import RegistryHost
from tests.support.scripts import answers

SECRETS: Final = ("bobby", "p%40ss", "p@ss", "t0ken")


async def test_a_document_is_lent_with_what_lies_beside_it(
    host: RegistryHost, source: HttpsSource
) -> None:
    host.documents[PATH + ".sig"] = b"signed"

    found = await read(source)

    assert found is not None
    assert (found.content, found.signature) == (b"servers: []", b"signed")


async def test_the_signature_lies_before_the_query(host: RegistryHost) -> None:
    host.documents[PATH + ".sig"] = b"signed"

    found = await read(HttpsSource(f"{host.url}{PATH}?of=today", NEVER_S))

    assert found is not None
    assert found.signature == b"signed"
    assert [visit.target.decode() for visit in host.origin.calls] == [
        f"{PATH}?of=today",
        f"{PATH}.sig?of=today",
    ]


async def test_an_unchanged_document_does_not_come_again(
    host: RegistryHost, source: HttpsSource
) -> None:
    known = await tag_of(source)
    host.sent.clear()

    assert await read(source, known) is None
    assert host.sent == [(PATH + ".sig", 404), (PATH, 304)]


async def test_an_unchanged_artifact_is_all_that_is_asked_for(
    host: RegistryHost, source: HttpsSource
) -> None:
    host.documents[PATH] = b'\n{ "envelope" : {}, "payload": {}, "signature": ""}'
    known = await tag_of(source)

    assert await read(source, known) is None
    assert host.sent == [(PATH, 200), (PATH, 304)]


async def test_a_registry_in_json_may_have_a_signature_beside_it(
    host: RegistryHost, source: HttpsSource
) -> None:
    host.documents |= {PATH: b'{"servers": [{"payload": 1}]}', PATH + ".sig": b"signed"}

    found = await read(source)

    assert found is not None
    assert found.signature == b"signed"


async def test_an_unchanged_document_without_an_entity_tag_is_known_all_the_same(
    host: RegistryHost, source: HttpsSource
) -> None:
    host.has_entity_tags = False
    known = await tag_of(source)

    assert await read(source, known) is None
    assert host.sent[2:] == [(PATH, 200), (PATH + ".sig", 404)]


@pytest.mark.parametrize("has_entity_tags", [True, False])
@pytest.mark.parametrize("path", [PATH, PATH + ".sig"])
async def test_a_change_of_either_is_another_text(
    host: RegistryHost, source: HttpsSource, path: str, *, has_entity_tags: bool
) -> None:
    host.has_entity_tags = has_entity_tags
    known = await tag_of(source)

    host.documents[path] = b"new"
    found = await read(source, known)

    assert found is not None
    assert found.content == host.documents[PATH]
    assert found.signature == host.documents.get(PATH + ".sig")


async def test_what_was_lent_but_never_known_comes_again(
    host: RegistryHost, source: HttpsSource
) -> None:
    known = await tag_of(source)
    host.documents[PATH] = b"new"
    await read(source, known)

    found = await read(source, known)

    assert found is not None
    assert found.content == b"new"


@pytest.mark.parametrize("tag", [b"", b'"' + b"x" * 300 + b'"', b'"\xe9"', b'"a" "b"'])
async def test_what_is_no_entity_tag_is_not_sent_back(
    host: RegistryHost, source: HttpsSource, tag: bytes
) -> None:
    host.fault = answers(ok(b"servers: []", b"ETag: " + tag))
    known = await tag_of(source)

    assert await read(source, known) is None
    assert not any(visit.value("if-none-match") for visit in host.origin.calls)


async def test_a_large_signature_is_lent_with_one_octet_too_many(
    host: RegistryHost, source: HttpsSource
) -> None:
    host.documents[PATH + ".sig"] = b"x" * 4 * SIGNATURE_BYTES

    found = await read(source)

    assert found is not None
    assert len(found.signature or b"") == SIGNATURE_BYTES + 1


async def test_user_and_password_are_sent_and_never_shown(host: RegistryHost) -> None:
    url = host.url.replace("//", "//bobby:p%40ss@") + PATH + "?key=t0ken"
    source = HttpsSource(url, NEVER_S)
    await read(source)
    host.fault = answers(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    with pytest.raises(AwayError) as away:
        await read(source)

    port = host.origin.port
    assert source.name == f"https://***@127.0.0.1:{port}{PATH}?***"
    assert str(away.value) == f"cannot read {source.name}: the server answered 401"
    assert host.origin.calls[0].value("authorization") == "Basic Ym9iYnk6cEBzcw=="
    told = repr(source) + repr(away.value) + source.name
    assert not [secret for secret in SECRETS if secret in told]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https:///path", id="no-host"),
        pytest.param("https://host:port/", id="port-is-a-word"),
        pytest.param("https://host:0/", id="no-port"),
        pytest.param("https://bobby:p@ss/word@host/", id="slash-in-the-password"),
        pytest.param("https://bobby:12/p@ss@host/", id="password-like-a-port"),
        pytest.param("https://bobby:12?p@ss@host/", id="question-in-the-password"),
        pytest.param("https://bobby:12#p@ss@host/", id="hash-in-the-password"),
        pytest.param("https://@host/", id="nobody"),
        pytest.param("https://a%3an:p%40ss@host/", id="colon-in-the-name"),
        pytest.param("https://[::1/", id="half-an-address"),
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SourceError, match=r"^registry\.url is no address") as refused:
        HttpsSource(url, NEVER_S)

    assert refused.value.__suppress_context__
    assert not [secret for secret in SECRETS if secret in str(refused.value)]


def test_an_address_is_taken_as_it_was_written() -> None:
    place = place_of("http://[::1]:80/a%2Fb%20c?x=%7e", "registry.url")

    assert place == (
        "http://[::1]:80/a%2Fb%20c?x=%7e",
        "http://[::1]:80/a%2Fb%20c.sig?x=%7e",
        {},
        "http://[::1]:80/a%2Fb%20c?***",
    )
