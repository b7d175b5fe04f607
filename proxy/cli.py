"""The command `toolproxy`: what it can be told, and how it ends.

Exit status 0 done, 1 failed while running, 2 unusable arguments or configuration. Knows nothing of
how anything is done.
"""

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Final, TextIO

from proxy.config.settings import Settings, SettingsError, load_settings
from proxy.conversion.options import add_convert_command
from proxy.errors import base
from proxy.people.options import add_commands
from proxy.publishing.options import add_registry_commands
from proxy.telemetry.logs import log_to_stderr

_UNUSABLE: Final = 2
_INTERRUPTED: Final = 130  # as shells say it
_STDERR: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    _take_standard_streams()
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] | None = options.command
    if options.test:
        command = _check
    if command is None:
        _parser().print_help(sys.stderr)
        return _UNUSABLE
    try:
        return command(options)
    except SettingsError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return 0


def _take_standard_streams() -> None:
    """Started with some of them closed, the next file to be opened would take their place."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(handle)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="toolproxy", description="A sidecar proxy for tool servers: POST /tools/<ns>.<tool>."
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.add_argument("-t", dest="test", action="store_true", help="the same as 'check'")
    _add_settings(parser)
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, command, text in (
        ("run", _run, "serve, until a signal: TERM drains, HUP reloads, INT stops"),
        ("check", _check, "say what is wrong with settings and registry, and serve nothing"),
        ("demo", _demo, "two small tool servers, a registry and a sidecar, to try"),
    ):
        sub = commands.add_parser(name, help=text, description=text)
        _add_settings(sub, suppressed=True)
        sub.set_defaults(command=command)
    add_commands(commands, _people)
    add_registry_commands(commands, _publishers)
    add_convert_command(commands, _converters)
    return parser


def _version() -> str:
    """Which toolproxy this is, and what runs it: both decide what a call costs."""
    build = "" if base.__file__.endswith(".py") else ", compiled"
    return f"toolproxy {version('toolproxy')} (Python {platform.python_version()}{build})"


def _add_settings(parser: argparse.ArgumentParser, *, suppressed: bool = False) -> None:
    # A sub-command must not overwrite what stood before it with its own defaults.
    default = argparse.SUPPRESS if suppressed else None
    parser.add_argument("-c", "--config", metavar="FILE", default=default, help="proxy.yaml")
    parser.add_argument("--listen", metavar="HOST:PORT", default=default)
    parser.add_argument("--registry", metavar="PATH", default=default, help="registry.yaml")
    parser.add_argument(
        "--log-level", default=default, choices=("debug", "info", "warning", "error")
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=argparse.SUPPRESS if suppressed else [],
        help="any key of proxy.yaml, as in --set limits.idle=30s; may be repeated",
    )


def _flags(options: argparse.Namespace) -> dict[str, str]:
    """Dotted keys of the settings that were given as flags."""
    flags: dict[str, str] = {}
    for pair in options.set:
        key, equals, value = pair.partition("=")
        if not equals:
            _parser().error(f"--set {pair}: expected KEY=VALUE")
        flags[key] = value
    named = {
        "listen": options.listen,
        "registry.path": options.registry,
        "log_level": options.log_level,
    }
    return flags | {key: value for key, value in named.items() if value is not None}


def _settings(options: argparse.Namespace) -> Settings:
    return load_settings(options.config, os.environ, _flags(options))


def _run(options: argparse.Namespace) -> int:
    settings = _settings(options)
    # Imported here: 'check' and '--help' need no event loop and no HTTP.
    from proxy.processes import Told, serve  # noqa: PLC0415

    return serve(Told(settings, lambda: _settings(options), os.environ), _complain)


def _check(options: argparse.Namespace) -> int:
    """Everything that `run` would refuse, and every warning; nothing is started."""
    from proxy.admission.stage import Admission, AdmissionError  # noqa: PLC0415 - as in `_run`
    from proxy.generations.source import AwayError, SourceError  # noqa: PLC0415 - as above
    from proxy.generations.starting import UnguardedError, look  # noqa: PLC0415 - as above
    from proxy.listening.serving import certificates_of  # noqa: PLC0415 - as above
    from proxy.listening.sockets import CannotListenError  # noqa: PLC0415 - as above
    from proxy.policy.route_order import lost, out_of_reach  # noqa: PLC0415 - as above
    from proxy.registry.load import LoadRules, RegistryRejectedError  # noqa: PLC0415 - as above

    settings = _settings(options)
    try:
        Admission(settings, os.environ)
        certificates_of(settings.listeners)
        loaded, name = asyncio.run(look(settings.registry, LoadRules.of(settings), os.environ))
    except (AdmissionError, CannotListenError, RegistryRejectedError) as error:
        return _complain(str(error))
    except (AwayError, SourceError, UnguardedError) as error:
        return _complain(str(error))
    for finding in loaded.findings:
        _say(f"{finding.severity}: {finding}", sys.stderr)
    namespaces = {server.namespace for server in loaded.servers}
    missed = out_of_reach(settings.routes, kept=settings.kept_paths, ports=settings.ports)
    for place, why in (*missed, *lost(settings.routes, namespaces)):
        _say(f"warning: routes[{place}]: {why}", sys.stderr)
    tools = sum(len(server.tools) for server in loaded.servers)
    _say(
        f"{name}: {len(loaded.servers)} servers, {tools} tools,"
        f" {len(loaded.quarantined)} quarantined"
    )
    return _UNUSABLE if loaded.quarantined else 0


def _demo(options: argparse.Namespace) -> int:
    from proxy.demo import demo_settings, run_demo  # noqa: PLC0415 - as in `_run`
    from proxy.processes import on_uvloop  # noqa: PLC0415 - as above

    with demo_settings(os.environ, _flags(options)) as settings:
        log_to_stderr(settings.log_level, settings.log_format)
        return on_uvloop(run_demo(settings, os.environ))


def _people(options: argparse.Namespace) -> int:
    """What people ask of a running sidecar; only what is followed is meant to be interrupted."""
    try:
        from proxy.people.command import perform  # noqa: PLC0415 - as in `_run`

        return perform(options, os.environ)
    except KeyboardInterrupt:
        return 0 if options.follow else _INTERRUPTED


def _publishers(options: argparse.Namespace) -> int:
    """What is done to a registry before and after it runs."""
    from proxy.publishing.command import perform  # noqa: PLC0415 - as in `_run`

    return perform(options, os.environ)


def _converters(options: argparse.Namespace) -> int:
    """What nginx is told, as settings and a registry."""
    from proxy.conversion.command import perform  # noqa: PLC0415 - as in `_run`

    return perform(options, os.environ)


def _complain(text: str) -> int:
    for line in text.splitlines():
        _say(f"toolproxy: {line}", sys.stderr)
    return _UNUSABLE


def _say(text: str, stream: TextIO | None = None) -> None:
    print(text, file=stream, flush=True)
