import argparse

import pytest

from proxy.publishing.options import add_registry_commands


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("-c", "--config")
    add_registry_commands(parser.add_subparsers(), lambda _: 0)
    return parser.parse_args(arguments)


@pytest.mark.parametrize("command", ["init", "keygen a", "sign f --key k", "verify f"])
def test_every_command_knows_what_is_common(command: str) -> None:
    options = parsed("registry", *command.split(), "--json", "--no-color")

    asked = command.partition(" ")[0]
    assert (options.asked, options.json, options.no_color) == (asked, True, True)


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "nonsense",
        "keygen",
        "sign f",
        "sign --key k",
        "verify",
        "verify f --min-v 1",
        "init a b",
    ],
)
def test_what_is_missing_or_too_much_is_unusable(arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed("registry", *arguments.split())

    assert ended.value.code == 2


@pytest.mark.parametrize("number", ["0", "-1", "1.0", "1e3", "²", "٣", "9" * 17, "", "true", " 1"])
def test_a_version_is_a_whole_number(number: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed("registry", "sign", "f", "--key", "k", f"--version={number}")

    assert ended.value.code == 2


@pytest.mark.parametrize(
    "arguments",
    ["-c before registry verify f", "registry verify f -c after"],
    ids=["before", "after"],
)
def test_settings_are_named_before_the_command_or_after_it(arguments: str) -> None:
    assert parsed(*arguments.split()).config in {"before", "after"}
