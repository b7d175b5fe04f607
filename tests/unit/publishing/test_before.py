from typing import Final

import orjson
import pytest

from proxy.artifact import canonical, identity
from proxy.config.document import read_document
from proxy.config.settings import Settings
from proxy.generations.reading import Candidate
from proxy.publishing.before import Before, breaks, lying
from proxy.publishing.comparing import compared
from proxy.publishing.signing import artifact_text, sig_text
from proxy.publishing.targets import There
from proxy.registry.load import LoadRules
from tests.support.signatures import signed

TEXT: Final = "servers:\n- {namespace: a, name: b, port: 80, tools: [{name: c}]}\n"
DOCUMENT: Final = read_document(TEXT).root
SIGNED: Final = signed(DOCUMENT, version=3)


def before_of(there: There) -> Before:
    return lying(there, "there", LoadRules.of(Settings()), {})


def candidate(text: str) -> Candidate:
    found = before_of(There(text.encode())).candidate
    assert found
    return found


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(There(TEXT.encode(), sig_text(SIGNED)), id="a-text-with-its-signature"),
        pytest.param(There(artifact_text(canonical(DOCUMENT), SIGNED)), id="an-artifact"),
    ],
)
def test_a_signed_registry_is_known_with_its_version(there: There) -> None:
    before = before_of(there)

    assert (before.identity, before.signed, before.problem) == (identity(DOCUMENT), SIGNED, "")


@pytest.mark.parametrize(
    "text", [TEXT.encode(), orjson.dumps({"payload": DOCUMENT})], ids=["a-text", "an-artifact"]
)
def test_an_unsigned_registry_has_no_version(text: bytes) -> None:
    before = before_of(There(text))

    assert (before.identity, before.signed, before.problem) == (identity(DOCUMENT), None, "")


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(There(b""), id="empty"),
        pytest.param(There(b"<html>"), id="a-page"),
        pytest.param(There(b"\xff\x00"), id="octets"),
        pytest.param(There(TEXT.encode(), b"{}"), id="broken-signature"),
        pytest.param(There(b'{"payload":{},"envelope":{},"signature":""}'), id="broken-artifact"),
        pytest.param(There(b'{"payload":{},"payload":{}}'), id="two-payloads"),
        pytest.param(There(b'{"payload":{"a":1e999}}'), id="no-json"),
        pytest.param(There(b"[" * 100_000), id="deep"),
    ],
)
def test_what_is_no_registry_is_a_problem_in_words(there: There) -> None:
    before = before_of(there)

    assert (before.candidate, before.signed, bool(before.problem)) == (None, None, True)
    assert before.identity == ""


def test_a_registry_that_is_broken_keeps_the_version_it_had() -> None:
    before = before_of(There(b"servers: 5", sig_text(SIGNED)))

    assert (before.candidate, before.signed) == (None, SIGNED)


@pytest.mark.parametrize(
    ("old", "new", "is_breaking"),
    [
        (TEXT, TEXT, False),
        (TEXT, TEXT.replace("}]}", "}, {name: d}]}"), False),
        (TEXT, TEXT.replace("name: c", "name: d"), True),
    ],
    ids=["same", "more", "less"],
)
def test_what_breaks_callers_is_seen(old: str, new: str, *, is_breaking: bool) -> None:
    assert breaks(compared(candidate(old), candidate(new))) is is_breaking


def test_a_server_that_was_set_aside_is_not_compared() -> None:
    broken = TEXT + "- {namespace: z, name: z, port: none, tools: [{name: c}]}\n"

    comparison = compared(candidate(broken), candidate(TEXT))

    assert (comparison.removed, comparison.total_changes) == ((), 0)
