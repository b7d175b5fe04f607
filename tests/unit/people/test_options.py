import argparse

import pytest

from proxy.people.options import add_commands


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers(), lambda _: 0)
    return parser.parse_args(arguments)


@pytest.mark.parametrize("command", ["servers", "tools", "call a.b", "events", "health"])
def test_every_command_knows_what_is_common(command: str) -> None:
    options = parsed(*command.split(), "--url", "u", "--timeout", "2", "--json", "--no-color")

    assert (options.asked, options.url, options.timeout, options.json, options.no_color) == (
        command.split(maxsplit=1)[0],
        "u",
        2.0,
        True,
        True,
    )


@pytest.mark.parametrize("given", ["--api-key=k", "--token=k", "--api-key", "--api=k", "--tok=k"])
def test_no_key_is_taken_from_the_command_line(given: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed("servers", given)

    assert ended.value.code == 2


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon", ""])
def test_a_timeout_is_a_number_of_seconds(seconds: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed("health", f"--timeout={seconds}")

    assert ended.value.code == 2


@pytest.mark.parametrize("limit", ["0", "10001", "-1", "1.5", "²", "9" * 5000, ""])
def test_a_limit_is_a_number_of_rows(limit: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed("events", f"--limit={limit}")

    assert ended.value.code == 2


def test_only_events_are_followed() -> None:
    assert (parsed("events", "--follow").follow, parsed("health").follow) == (True, False)


def test_options_are_not_shortened() -> None:
    with pytest.raises(SystemExit) as ended:
        parsed("events", "--foll")

    assert ended.value.code == 2
