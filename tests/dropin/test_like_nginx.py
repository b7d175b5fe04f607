"""Ten configurations that people run: does the sidecar, once they are converted, what nginx does?

Each gets the same 200 requests through nginx and through the sidecar. Compared are what reached the
upstream and what came back, request by request; what differs must be explained.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.dropin.asking import Habits, requests
from tests.dropin.differences import (
    ALWAYS,
    BROKEN_BY_A_SPACE,
    Explained,
    for_success_alone,
    unexplained,
)
from tests.dropin.seeing import HANDSHAKE, outcomes, script, tunnelled
from tests.dropin.servers import NGINX, Converted, Nginx, configured, free_ports
from tests.support.loop_thread import LoopThread
from tests.support.origin import Origin

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.slow,
    pytest.mark.skipif(not NGINX, reason="no nginx"),
]


_MOST_SHOWN: Final = 30


class Case(NamedTuple):
    """One configuration: what is asked of it, what is left out, what else may differ."""

    habits: Habits
    left_out: tuple[str, ...] = ()
    explained: tuple[Explained, ...] = ()
    doors: tuple[tuple[str, bool], ...] = (("port", False),)
    balanced: bool = False  # which endpoint it is may differ
    tunnels: bool = False


CASES: Final = {
    "app": Case(Habits(("app.example", "www.app.example:8080", "other"), ("/", "/login", "/a/"))),
    "paths": Case(
        Habits(
            ("example.com", "sub.example.org", "admin.example.com", "unknown", "a.b.example.org"),
            (
                *("/", "/healthz", "/favicon.ico", "/blog/", "/blog", "/shop/", "/static/"),
                *("/static/v2/", "/static/v2", "/img/logo.PNG", "/style.css", "/old/", "/api/"),
                *("/users/7/orders/42", "/users/x/orders/1", "/.git/config", "/blog/.env"),
            ),
        ),
        explained=(for_success_alone("x-folder"),),
    ),
    "websocket": Case(
        Habits(("chat.example",), ("/", "/ws/", "/login")), balanced=True, tunnels=True
    ),
    "tls": Case(
        Habits(
            ("one.example", "two.example", "three.example"),
            ("/", "/a/", "/.well-known/acme-challenge/"),
        ),
        doors=(("port", False), ("tls", True)),
    ),
    "weighted": Case(Habits(("any.example",), ("/", "/x/")), balanced=True),
    "uploads": Case(
        Habits(
            ("files.example",),
            ("/", "/upload/", "/unlimited/", "/unlimited/x"),
            sizes=(0, 10, 65_536, 65_537, 300_000),
        )
    ),
    "gateway": Case(
        Habits(
            ("api.example",),
            (
                *("/v1/orders/", "/v2/orders/", "/v3/orders/", "/v2/customers/", "/v2/customers"),
                *("/v1/customers/anna", "/v1/customers/7", "/v1/customers", "/v1/status"),
                *("/internal/", "/internal", "/"),
            ),
            headers=(("X-Api-Version", "0"), ("X-Api-Version", "1")),
        ),
        explained=(BROKEN_BY_A_SPACE,),
    ),
    "canary": Case(
        Habits(
            ("app.example",),
            ("/", "/beta/", "/beta", "/secret/", "/pool/", "/app/"),
            headers=(
                *(("X-Canary", "1"), ("X-Canary", "0"), ("X-Canary", "always")),
                *(("X-Beta", "on"), ("X-Key", "letmein"), ("X-Key", "wrong")),
            ),
        )
    ),
    "maintenance": Case(
        Habits(
            ("app.example", "old.example", "certbot.example", "old.example:8080"),
            ("/", "/healthz", "/admin/", "/admin", "/x/"),
        )
    ),
    "balancer": Case(Habits(("balancer.example",), ("/", "/sticky/", "/sticky")), balanced=True),
}


@pytest.fixture(scope="module")
def origins() -> Iterator[Sequence[Origin]]:
    loop = LoopThread()
    found = [loop.run(Origin(script).start()) for _ in range(3)]
    yield found
    for origin in found:
        loop.run(origin.stop())
    loop.close()


@pytest.mark.parametrize("name", CASES)
def test_does_what_nginx_does(name: str, tmp_path: Path, origins: Sequence[Origin]) -> None:
    case = CASES[name]
    ours, theirs = free_ports(2), free_ports(2)
    places = dict(zip(("one", "two", "three"), (origin.port for origin in origins), strict=True))
    doors = [place for place, _ in case.doors]
    with contextlib.ExitStack() as running:
        ports = dict(zip(doors, theirs, strict=False))
        running.enter_context(
            Nginx(configured(name, tmp_path / "theirs", places | ports), theirs[0])
        )
        ports = dict(zip(doors, ours, strict=False))
        sidecar = running.enter_context(
            Converted(configured(name, tmp_path / "ours", places | ports))
        )
        asked = list(requests(name, case.habits))
        secure = [secure for _, secure in case.doors]

        of_nginx = outcomes(asked, zip(theirs, secure, strict=False), origins)
        of_ours = outcomes(asked, zip(ours, secure, strict=False), origins)
        if case.tunnels:
            asked.append(HANDSHAKE)
            of_nginx.append(tunnelled(theirs[0], origins))
            of_ours.append(tunnelled(ours[0], origins))

    explained = (*ALWAYS, *case.explained, *((_ANY_ENDPOINT,) if case.balanced else ()))
    faults = [
        f"{each.number} {each.method} {each.target} {each.value('Host')}: {left}"
        for each, one, other in zip(asked, of_nginx, of_ours, strict=True)
        for left in unexplained(each, one, other, explained)
    ]
    assert not faults, "\n".join(faults[:_MOST_SHOWN])
    assert tuple(each.directive for each in sidecar.left_out) == case.left_out


_ANY_ENDPOINT: Final = Explained(
    "which of an upstream's endpoints it is may differ",
    lambda _, found, __: found.what == "upstream" and None not in {found.theirs, found.ours},
)
