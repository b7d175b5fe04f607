import pytest

from proxy.artifact import epoch_s_of
from proxy.generations.keys import read_trusted
from proxy.people.unusable import UnusableError
from proxy.publishing.keygen import expiry
from proxy.publishing.private_keys import read_private
from tests.support.publishing import Desk
from tests.support.signatures import NOW_S


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("365d", NOW_S + 365 * 86_400),
        ("1h", NOW_S + 3600),
        ("2030-01-31T12:00:00Z", epoch_s_of("2030-01-31T12:00:00Z")),
        ("2030-01-31T12:00:00+02:00", epoch_s_of("2030-01-31T10:00:00Z")),
    ],
)
def test_a_key_expires_after_a_span_or_at_a_moment(text: str, ends: float) -> None:
    assert expiry(text, NOW_S) == ends


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0d",
        "1",
        "-1d",
        "1.5d",
        "1y",
        "٣d",
        "1d\n",
        "9999999d",
        "999999999d",
        "never",
        "2001-01-01T00:00:00Z",
        "2030-02-30T00:00:00Z",
        "2030-01-01",
        "2030-01-01T00:00:00",
        "9999-12-31T23:59:59-23:59",
    ],
)
def test_what_is_no_end_to_come_is_refused(text: str) -> None:
    with pytest.raises(UnusableError, match="expected 365d"):
        expiry(text, NOW_S)


def test_a_pair_of_keys_is_made(desk: Desk) -> None:
    folder = desk.folder / "new"

    ended = desk.ask("keygen", "next", "--dir", folder, "--expires", "2100-01-01T00:00:00Z")

    assert (ended.status, ended.err) == (0, "")
    assert ended.document == {
        "key_id": read_private(folder / "next.key").key_id,
        "private_key": str(folder / "next.key"),
        "public_key": str(folder / "next.pub"),
        "expires_at": "2100-01-01T00:00:00Z",
    }


def test_a_key_does_not_expire_by_itself(desk: Desk) -> None:
    folder = desk.folder / "new"

    ended = desk.ask("keygen", "next", "--dir", folder)

    ends = [key.expires_at for key in read_trusted(folder).keys.values()]
    assert (ended.document["expires_at"], ends) == (None, [None])


def test_no_key_is_made_twice(desk: Desk) -> None:
    ended = desk.ask("keygen", "fleet", "--dir", desk.folder / "keys")

    assert (ended.status, ended.out) == (2, "")
    assert "is there already" in ended.err
