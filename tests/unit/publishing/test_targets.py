from typing import Final

import orjson
import pytest

from proxy.artifact import read_signed
from proxy.publishing.signing import split_artifact
from proxy.publishing.targets import Parcel, overtaken
from tests.support.signatures import signed

DOCUMENT: Final[dict[str, object]] = {"servers": []}
CANONICAL = b'{"servers":[]}'
SIGNED = signed(DOCUMENT)


def test_a_parcel_is_an_artifact_or_a_signature_beside_a_text() -> None:
    parcel = Parcel(b"servers: []", CANONICAL, SIGNED)

    assert parcel.signature is not None
    assert read_signed(parcel.signature) == SIGNED
    assert split_artifact(parcel.artifact) == (DOCUMENT, SIGNED)


def test_an_unsigned_parcel_says_nothing_of_signatures() -> None:
    parcel = Parcel(b"servers: []", CANONICAL, None)

    assert parcel.signature is None
    assert orjson.loads(parcel.artifact) == {"payload": DOCUMENT}
    assert split_artifact(parcel.artifact) == (DOCUMENT, None)


@pytest.mark.parametrize("name", ["a.yaml", "https://host/path"])
def test_who_was_overtaken_is_told_what_to_do(name: str) -> None:
    assert overtaken(name).startswith(f"{name} was changed by somebody else")
    assert overtaken(name).endswith("publish again")
