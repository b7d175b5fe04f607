from proxy.conversion.directives import Directive, Level


def said(name: str, *args: str) -> Directive:
    return Directive(name, args, "nginx.conf", 1)


def test_a_level_inherits_all_or_nothing() -> None:
    outer = Level((said("proxy_set_header", "A", "1"), said("proxy_set_header", "B", "2")))
    inner = Level((said("proxy_set_header", "C", "3"),), outer)
    silent = Level((), outer)

    assert [each.first for each in inner.nearest("proxy_set_header")] == ["C"]
    assert [each.first for each in silent.nearest("proxy_set_header")] == ["A", "B"]


def test_the_last_of_a_level_holds() -> None:
    level = Level((said("gzip", "on"), said("gzip", "off")))

    assert (level.word("gzip"), level.word("etag", "on"), level.said("etag")) == ("off", "on", None)
