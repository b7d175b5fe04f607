"""Facts about what servers are resolved against."""

from proxy.registry.model import Dependencies, Server, Tool
from proxy.registry.surroundings import Surroundings, filled_in, missing_credentials
from tests.support.witness import Heard

TEMPLATE = "${file:/run/secrets/token}"


def around(*credentials: str, fills: dict[str, str] | None = None) -> Surroundings:
    return Surroundings((fills or {}).get, lambda name: name in credentials, Heard())


def server(*needs: str, **inject: str) -> Server:
    return Server(
        namespace="a",
        name="a",
        port=1,
        inject_headers=inject,
        upstream_dependencies=Dependencies(credentials_required=needs),
    )


def test_templates_are_filled_in() -> None:
    assert filled_in(server(x=TEMPLATE), around(fills={TEMPLATE: "new"}), {}) == {TEMPLATE: "new"}


def test_secret_that_cannot_be_had_stays_the_last_good_one() -> None:
    assert filled_in(server(x=TEMPLATE), around(), {TEMPLATE: "old"}) == {TEMPLATE: "old"}


def test_secret_that_never_could_be_had_is_empty() -> None:
    assert filled_in(server(x=TEMPLATE), around(), {}) == {TEMPLATE: ""}


def test_tool_needs_what_its_server_needs_too() -> None:
    tool = Tool(name="t", upstream_dependencies=Dependencies(credentials_required=("B", "C")))

    assert missing_credentials(server("A", "B"), tool, around("B")) == ("A", "C")
    assert missing_credentials(server("A"), Tool(name="t"), around("A")) == ()
