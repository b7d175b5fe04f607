"""Facts about TLS towards upstreams: which context, made when, and of which files."""

import shutil
import ssl
from pathlib import Path

import pytest
import trustme

from proxy.registry.model import Tls
from proxy.registry.tls import TlsContexts


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def pair(authority: trustme.CA, tmp_path: Path) -> tuple[str, str]:
    """A client's certificate, and its key."""
    issued = authority.issue_cert("client.example")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    return str(cert), str(key)


async def test_context_is_made_once_for_a_setting(ca: str) -> None:
    contexts = TlsContexts()

    made = [await contexts.of(tls) for tls in (Tls(ca=ca), Tls(ca=ca), None, None)]

    assert (made[0] is made[1], made[2] is made[3], made[0] is made[2]) == (True, True, False)


async def test_settings_that_differ_have_contexts_that_differ(ca: str) -> None:
    contexts = TlsContexts()

    made = {id(await contexts.of(Tls(ca=ca, server_name=name))) for name in (None, "a", "b")}

    assert len(made) == 3


async def test_files_are_read_again_once_cleared(ca: str) -> None:
    contexts = TlsContexts()
    before = await contexts.of(Tls(ca=ca))
    trustme.CA().cert_pem.write_to_path(ca)

    contexts.clear()
    after = await contexts.of(Tls(ca=ca))

    assert (before is after, before.get_ca_certs() == after.get_ca_certs()) == (False, False)


@pytest.mark.parametrize("own_ca", [True, False], ids=["own-ca", "systems"])
async def test_peer_must_prove_its_name_and_be_trusted(ca: str, *, own_ca: bool) -> None:
    context = await TlsContexts().of(Tls(ca=ca) if own_ca else None)

    assert (context.verify_mode, context.check_hostname, context.minimum_version) == (
        ssl.CERT_REQUIRED,
        True,
        ssl.TLSVersion.TLSv1_2,
    )


async def test_named_authority_is_the_only_one(ca: str) -> None:
    context = await TlsContexts().of(Tls(ca=ca))

    assert len(context.get_ca_certs()) == 1


async def test_own_certificate_is_shown_to_a_peer_that_asks(
    authority: trustme.CA, ca: str, pair: tuple[str, str]
) -> None:
    cert, key = pair
    context = await TlsContexts().of(Tls(ca=ca, cert=cert, key=key))

    shown = _handshake(authority, context)

    assert shown == (("DNS", "client.example"),)


async def test_http_1_1_is_what_is_asked_for(authority: trustme.CA, ca: str) -> None:
    context = await TlsContexts().of(Tls(ca=ca))

    assert _handshake(authority, context, needs_certificate=False) == "http/1.1"


MISSING = {"ca": Tls(ca="/nowhere/ca.pem"), "pair": Tls(cert="/nowhere/c.pem", key="/nowhere/k")}


@pytest.mark.parametrize("tls", MISSING.values(), ids=MISSING)
async def test_missing_file_is_an_os_error_each_time(tls: Tls) -> None:
    contexts = TlsContexts()

    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            await contexts.of(tls)


async def test_file_that_is_no_certificate_is_an_os_error(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("hello")

    with pytest.raises(OSError, match=r"(?i)no certificate|x509|pem") as caught:
        await TlsContexts().of(Tls(ca=str(path)))

    assert isinstance(caught.value, ssl.SSLError)


async def test_file_that_comes_later_is_used(ca: str) -> None:
    contexts, hidden = TlsContexts(), f"{ca}.later"
    shutil.move(ca, hidden)
    with pytest.raises(FileNotFoundError):
        await contexts.of(Tls(ca=ca))

    shutil.move(hidden, ca)

    assert len((await contexts.of(Tls(ca=ca))).get_ca_certs()) == 1


def _handshake(
    authority: trustme.CA, context: ssl.SSLContext, *, needs_certificate: bool = True
) -> object:
    """What the far end sees: the names in our certificate, or the protocol that was agreed on."""
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("origin.example").configure_cert(theirs)
    theirs.set_alpn_protocols(["h2", "http/1.1"])
    if needs_certificate:
        authority.configure_trust(theirs)
        theirs.verify_mode = ssl.CERT_REQUIRED
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = context.wrap_bio(down, up, server_hostname="origin.example")
    far = theirs.wrap_bio(up, down, server_side=True)
    for side in (near, far, near, far):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    if not needs_certificate:
        return far.selected_alpn_protocol()
    certificate = far.getpeercert()
    assert certificate
    return certificate["subjectAltName"]


async def test_least_version_is_what_the_server_says() -> None:
    context = await TlsContexts().of(Tls(min_version="1.3"))

    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
