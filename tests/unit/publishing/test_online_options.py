import argparse

import pytest

from proxy.publishing.online_options import add_online_commands


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_online_commands(parser.add_subparsers(), lambda _: 0)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("history", "--limit", "0"), id="no-rows"),
        pytest.param(("history", "--limit", "1001"), id="too-many-rows"),
        pytest.param(("history", "--limit", "٣"), id="other-digits"),
        pytest.param(("rollback",), id="which"),
        pytest.param(("accept",), id="what"),
        pytest.param(("publish", "a.yaml"), id="neither-signed-nor-unsigned"),
        pytest.param(("publish", "a.yaml", "--key", "k", "--unsigned"), id="both"),
        pytest.param(("publish", "--key", "k"), id="whereto"),
        pytest.param(("publish", "a", "--key", "k", "--version", "0"), id="version-0"),
        pytest.param(("publish", "a", "--key", "k", "--version", "1e3"), id="no-whole-version"),
        pytest.param(("unpin", "--api-key", "secret"), id="a-key-for-all-to-read"),
    ],
)
def test_what_cannot_be_meant_is_status_2(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(*words)

    assert ended.value.code == 2
    assert "secret" not in capsys.readouterr().err


def test_what_is_asked_is_known_by_its_name() -> None:
    options = parsed("publish", "redis://a/b", "--key", "k")

    said = (options.asked, options.target, options.file, options.profile, options.version)
    assert said == ("publish", "redis://a/b", "registry.yaml", None, None)
    assert (options.url, options.yes, options.allow_breaking) == (None, False, False)


@pytest.mark.parametrize("name", ["history", "show"])
def test_a_store_is_read_where_one_is_named(name: str) -> None:
    assert (parsed(name).store, parsed(name, "--store", "d").store) == (None, "d")
