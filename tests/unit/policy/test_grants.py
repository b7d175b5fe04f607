"""Facts about who somebody is, and what they may call and see."""

import pytest

from proxy.config.units import Rate
from proxy.policy.grants import ANYBODY, NOBODY, Visitor


@pytest.mark.parametrize(
    ("allow", "may"),
    [
        (["*"], {"a.t", "ab.t", "a."}),
        (["a.*"], {"a.t", "a."}),
        (["a.t*"], {"a.t"}),
        (["a.t"], {"a.t"}),
        (["a.x", "ab.t"], {"ab.t"}),
        ([], set()),
    ],
    ids=["everything", "a-server", "a-prefix", "a-tool", "some", "nothing"],
)
def test_key_may_call_what_it_was_granted(allow: list[str], may: set[str]) -> None:
    visitor = Visitor(allow=allow)

    assert {name for name in ("a.t", "ab.t", "a.") if visitor.may_call(name.encode())} == may


@pytest.mark.parametrize(
    ("allow", "passes", "sees"),
    [
        (["*"], True, True),
        (["a.*"], True, True),
        (["a.t*"], False, True),
        (["a.t"], False, True),
        (["ab.*", "b.t"], False, False),
        ([], False, False),
    ],
    ids=["everything", "the-server", "a-prefix", "a-tool", "others", "nothing"],
)
def test_server_is_seen_for_one_tool_and_passed_through_for_all(
    allow: list[str], *, passes: bool, sees: bool
) -> None:
    visitor = Visitor(allow=allow)

    assert (visitor.may_pass(b"a"), visitor.may_see(b"a")) == (passes, sees)


@pytest.mark.parametrize(
    ("wanted", "does"), [((), True), (("red",), True), (("blue", "red"), True), (("blue",), False)]
)
def test_server_is_of_those_who_share_a_team(wanted: tuple[str, ...], *, does: bool) -> None:
    assert Visitor(teams=["red", "green"]).belongs(wanted) is does


def test_who_has_no_team_is_in_none() -> None:
    assert (Visitor().belongs(["red"]), Visitor().belongs(iter(()))) == (False, True)


def test_visitor_is_known_by_what_was_found_out() -> None:
    visitor = Visitor(
        "ann", admin=True, application="app", rate=Rate(5.0, 1), spent=frozenset({b"x-api-key"})
    )

    assert (visitor.subject, visitor.application, visitor.admin) == ("ann", "app", True)
    assert (visitor.rate, *visitor.spent) == (Rate(5.0, 1), b"x-api-key")
    assert (repr(visitor), repr(ANYBODY)) == ("<Visitor ann>", "<Visitor anybody>")


def test_application_speaks_for_somebody_with_its_own_grants_and_their_teams() -> None:
    app = Visitor("app", allow=["a.*", "b.t"], teams=["red"], application="app", admin=True)

    both = app.speaking_for("ann", ["blue"])

    assert (both.subject, both.application, both.admin) == ("ann", "app", True)
    assert (*both.teams, *app.teams) == ("blue", "red")
    assert [both.may_call(name) for name in (b"a.t", b"b.t", b"b.u")] == [True, True, False]


def test_anybody_may_everything_and_nobody_nothing() -> None:
    assert (ANYBODY.may_call(b"a.t"), ANYBODY.admin) == (True, True)
    assert (NOBODY.may_call(b"a.t"), NOBODY.may_see(b"a"), NOBODY.admin) == (False, False, False)
