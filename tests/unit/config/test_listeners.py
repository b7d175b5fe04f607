"""Facts about the settings of listeners: how they are written, what holds, what is refused."""

from pathlib import Path

import pytest

from proxy.config.listeners import (
    Certificate,
    Listener,
    Tcp,
    Tls,
    Unix,
    address_of,
    tcp_of,
    workers_of,
)
from proxy.config.settings import Settings, SettingsError, load_settings


def read(
    tmp_path: Path, text: str, environ: dict[str, str] | None = None, **flags: str
) -> Settings:
    path = tmp_path / "proxy.yaml"
    path.write_text(text)
    return load_settings(str(path), environ or {}, flags)


def problem(tmp_path: Path, text: str, environ: dict[str, str] | None = None, **flags: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text, environ, **flags)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("127.0.0.1:0", Tcp("127.0.0.1", 0)),
        ("[::1]:65535", Tcp("::1", 65535)),
        ("host-1.example_a:80", Tcp("host-1.example_a", 80)),
        ("unix:/run/t.sock", Unix("/run/t.sock")),
    ],
)
def test_address_is_read_and_shown_alike(written: str, address: Tcp | Unix) -> None:
    assert (address_of(written), str(address)) == (address, written)


@pytest.mark.parametrize(
    "written", ["", "a", ":80", "a:", "a:65536", "::1:80", "[::1]", "[::g]:1", "a:80\n", "a:٣"]
)
def test_address_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"host:port|at most|IPv6"):
        tcp_of(written)


@pytest.mark.parametrize(
    "written", ["unix:", "unix:run/t", "unix:/run/", "unix:/a\0", "unix:@a", "unix:/" + "a" * 107]
)
def test_path_that_can_be_no_socket_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"absolute path|107 bytes"):
        address_of(written)


def test_listeners_are_one_or_many_as_text_or_in_full(tmp_path: Path) -> None:
    tls = Tls(cert="c.pem", key="k.pem")
    text = "listen: [a:1, {address: b:2, tls: {cert: c.pem, key: k.pem}, proxy_protocol: true}]"

    many = read(tmp_path, text).listen
    one = read(tmp_path, "listen: {address: 'unix:/t', serves: routes}").listen

    assert many == (
        Listener(address=Tcp("a", 1)),
        Listener(address=Tcp("b", 2), tls=tls, proxy_protocol=True),
    )
    assert one == (Listener(address=Unix("/t"), serves="routes"),)
    assert (many[0].scheme, many[1].scheme) == ("http", "https")


def test_each_listener_has_its_key(tmp_path: Path) -> None:
    alone = read(tmp_path, "listen: a:1")
    several = read(tmp_path, "listen: [a:1, {address: b:2, serves: admin}]\nadmin: c:3")

    assert [key for key, _ in alone.listeners] == ["listen"]
    assert [key for key, _ in several.listeners] == ["listen[0]", "listen[1]", "admin"]
    assert several.listeners[2][1] == Listener(address=Tcp("c", 3), serves="admin")


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("listen: a:1", False),
        ("listen: a:1\nadmin: true", True),
        ("listen: [a:1, {address: b:2, serves: admin}]", True),
    ],
)
def test_operators_are_apart_where_a_listener_is_theirs(
    tmp_path: Path,
    text: str,
    apart: bool,  # noqa: FBT001 - a case of the table above
) -> None:
    assert read(tmp_path, text).operators_apart is apart


def test_one_certificate_is_a_list_of_one() -> None:
    pair, other = Certificate(cert="c", key="k"), Certificate(cert="d", key="l")

    assert Tls(cert="c", key="k").shown == (pair,)
    assert Tls(certificates=(pair, other)).shown == (pair, other)


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("[]", "listen: expected at least one listener"),
        ("[a:1, b]", "listen[1]: expected host:port"),
        ("[a:1, 3]", "listen[1]: expected a string, got a number: quote it"),
        ("[{address: a}]", "listen[0].address: expected host:port"),
        ("{adress: a:1}", "listen.adress: unknown key, did you mean address?"),
        ("[{address: a:1, serves: all, tls: {}}]", "listen[0].tls.cert: expected cert and key"),
        ("[{address: a:1, tls: {cert: c}}]", "listen[0].tls.key: required beside cert"),
        (
            "{address: a:1, tls: {cert: c, key: k, certificates: [{cert: c, key: k}]}}",
            "listen.tls.cert: expected cert and key, or certificates",
        ),
        ("{address: a:1, tls: {certificates: [{cert: c}]}}", "listen.tls.certificates[0].key: req"),
        (
            "{address: a:1, tls: {cert: c, key: k, min_version: '1.1'}}",
            "listen.tls.min_version: expected one of 1.2, 1.3",
        ),
        ("{address: a:1, serves: admin}", "callers have nowhere to come in"),
    ],
)
def test_what_can_be_no_listener_is_refused_where_it_stands(
    tmp_path: Path, listen: str, said: str
) -> None:
    assert said in problem(tmp_path, f"listen: {listen}\n")


SEVERAL = """\
listen:
  - unix:/t
  - {address: o:1, serves: admin}
  - {address: a:1, tls: {cert: c, key: k}}
  - b:2
"""


@pytest.mark.parametrize(
    ("environ", "flags"),
    [
        ({"HOST": "x", "PORT": "9"}, {}),
        ({"TOOLPROXY_LISTEN": "x:9"}, {}),
        ({}, {"listen": "x:9"}),
        ({"HOST": "y", "TOOLPROXY_LISTEN": "z:1"}, {"listen": "x:9"}),
    ],
)
def test_address_from_outside_is_that_of_the_first_tcp_listener(
    tmp_path: Path, environ: dict[str, str], flags: dict[str, str]
) -> None:
    listen = read(tmp_path, SEVERAL, environ, **flags).listen

    assert [str(each) for each in listen] == ["unix:/t", "o:1", "x:9", "b:2"]
    assert listen[2].tls == Tls(cert="c", key="k")


def test_part_of_an_address_from_outside_leaves_the_other_part(tmp_path: Path) -> None:
    assert str(read(tmp_path, SEVERAL, {"PORT": "9"}).listen[2]) == "a:9"


@pytest.mark.parametrize(
    ("listen", "all_of_them"),
    [
        ("[unix:/t]", ["unix:/t", "0.0.0.0:9"]),
        ("{address: a:1}", ["a:9"]),
        ("{serves: all}", ["0.0.0.0:9"]),
        ("unix:/t", ["0.0.0.0:9"]),
    ],
)
def test_port_from_outside_makes_a_listener_where_there_is_none(
    tmp_path: Path, listen: str, all_of_them: list[str]
) -> None:
    found = read(tmp_path, f"listen: {listen}", {"PORT": "9"}).listen

    assert [str(each) for each in found] == all_of_them


def test_whole_list_from_outside_replaces_the_whole(tmp_path: Path) -> None:
    found = read(tmp_path, SEVERAL, {"TOOLPROXY_LISTEN": "[x:9, 'unix:/u']"}).listen

    assert [str(each) for each in found] == ["x:9", "unix:/u"]
    assert str(read(tmp_path, SEVERAL, {}, listen="unix:/u").listen[0]) == "unix:/u"


def test_fault_is_said_where_it_was_written(tmp_path: Path) -> None:
    from_outside = problem(tmp_path, SEVERAL, {"PORT": "x"})
    in_file = problem(tmp_path, SEVERAL.replace("b:2", "b"), {"PORT": "9"})

    assert from_outside.startswith("environment: PORT: expected host:port")
    assert in_file.startswith("proxy.yaml:5: listen[3]: expected host:port")


@pytest.mark.parametrize(("value", "number"), [(1, 1), (256, 256), ("auto", 0)])
def test_workers_are_a_number_or_one_for_each_core(value: object, number: int) -> None:
    assert workers_of(value) == number


@pytest.mark.parametrize("value", [0, 257, -1, 1.5, True, "2", "AUTO", None])
def test_other_numbers_of_workers_are_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        workers_of(value)


def test_certificates_admit_only_where_somebody_is_asked_for_one(tmp_path: Path) -> None:
    auth = "auth: {certificates: [{name: a, subject: CN=a}]}\n"
    plain = "listen: {address: a:1, tls: {cert: c, key: k}}\n"

    assert "nobody is asked for one" in problem(tmp_path, auth + plain)
    assert read(tmp_path, auth + plain.replace("key: k", "key: k, client_ca: ca")).auth.on


def test_empty_list_of_certificates_is_a_mistake(tmp_path: Path) -> None:
    assert "auth.certificates: an empty list" in problem(tmp_path, "auth: {certificates: []}")


def test_certificates_that_nobody_vouches_for_are_not_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text(
        "listen: {address: 'a:1', tls: {cert: c, key: k, client_certificate: required}}\n"
    )

    with pytest.raises(SettingsError) as refused:
        load_settings(str(path), {}, {})

    assert "listen.tls.client_certificate: says nothing without client_ca" in str(refused.value)


def test_admin_is_no_object(tmp_path: Path) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text("admin: {address: '127.0.0.1:1'}\n")

    with pytest.raises(SettingsError) as refused:
        load_settings(str(path), {}, {})

    assert "admin: expected a string, got a mapping" in str(refused.value)
