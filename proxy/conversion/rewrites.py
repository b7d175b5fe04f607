"""What a level does before anything is passed on: `return`, `rewrite` and `if`, as routes.

Knows their order, and when it ends there. Does not know where else a request could go.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from proxy.conversion.answers import redirect, returned
from proxy.conversion.conditions import condition
from proxy.conversion.directives import Directive, Level
from proxy.conversion.matches import ANY, Draft, Match
from proxy.conversion.notes import NotCarriedError
from proxy.conversion.passing import passed
from proxy.conversion.patterns import Pattern, path_of, pattern, whole
from proxy.conversion.scene import Scene
from proxy.conversion.templates import Meanings, template

_ELSEWHERE: Final = ("http://", "https://", "$scheme")
_STATUSES: Final = {"redirect": 302, "permanent": 301}
# Of a changed path: the routes that it has, or `NotCarriedError`.
Onward = Callable[[Match, str, Meanings, str], Iterable[Draft]]


class Phase:
    """Routes that come before the level's own, and what is left for these."""

    def __init__(
        self, scene: Scene, level: Level, captures: Meanings, onward: Onward, at: Match
    ) -> None:
        self.before: list[Draft] = []
        self.after: list[Draft] = []
        self.only = ANY
        self._at = at
        self.ended = False
        self._scene = scene
        self._level = level
        self._captures = captures
        self._onward = onward
        for directive in level.block:
            if self.ended:
                break
            self._take(directive)

    def __repr__(self) -> str:
        return f"<Phase {len(self.before)} before, {len(self.after)} after, ended={self.ended}>"

    def around(self, own: Iterable[Draft]) -> list[Draft]:
        """All routes of the level."""
        kept = [] if self.ended else [found for each in own if (found := each.under(self.only))]
        drafts = [*self.before, *kept, *self.after]
        return [found for each in drafts if (found := each.under(self._at))]

    def _take(self, directive: Directive) -> None:
        try:
            match directive.name:
                case "return":
                    action = returned(self._scene, directive, self._level, self._captures)
                    self._add(ANY, action, directive)
                    self.ended = True
                case "rewrite":
                    self._rewrite(directive, ANY, self._level)
                case "if":
                    self._if(directive)
                case _:
                    pass  # not of this phase
        except NotCarriedError as error:
            self._scene.notes.leave_out(directive, str(error))

    def _add(self, when: Match, action: dict[str, Any], origin: Directive) -> None:
        draft = Draft(match=when, action=action, origin=origin).under(self.only)
        self.before += [draft] if draft else []

    def _if(self, directive: Directive) -> None:
        inside = [each for each in directive.inside if each.name != "break"]
        if inside and all(each.name == "set" for each in inside):
            return  # read where the variable is used
        when, negated = condition(directive.args)
        level = Level(directive.inside, self._level)
        for each in inside:
            self._within(each, level, when, negated=negated)

    def _within(self, directive: Directive, level: Level, when: Match, *, negated: bool) -> None:
        if directive.name == "return":
            action = returned(self._scene, directive, level, self._captures)
            if negated:
                self._unless(when, Draft(match=ANY, action=action, origin=directive))
            else:
                self._add(when, action, directive)
        elif negated:
            raise NotCarriedError(
                "unless something holds, only a return is followed; turn it round"
            )
        elif directive.name == "rewrite":
            self._rewrite(directive, when, level)
        elif directive.name == "proxy_pass":
            self._pass(directive, level, when)
        elif directive.name not in {"add_header", "proxy_set_header"}:
            why = "in an if, only return, rewrite and proxy_pass are followed; make it a location"
            self._scene.notes.leave_out(directive, why)

    def _pass(self, directive: Directive, level: Level, when: Match) -> None:
        for draft in passed(self._scene, directive, level, self._captures, None):
            found = draft.under(when)
            found = found and found.under(self.only)
            self.before += [found] if found else []

    def _unless(self, when: Match, otherwise: Draft) -> None:
        only = self.only.and_(when)
        rest = otherwise.under(self.only)
        if only is None:
            raise NotCarriedError("it asks for what cannot be together with what stands above")
        self.after[:0] = [rest] if rest else []
        self.only = only

    def _with_query(self, directive: Directive, target: str) -> str:
        """What the caller asked goes behind, unless a question mark at the end forbids it."""
        path, mark, query = target.partition("?")
        if not mark:
            return f"{path}$is_args$args"
        if query:
            why = "a query that is written stands alone, the caller's is not put behind it"
            self._scene.notes.leave_out(directive, why)
        return target.removesuffix("?")

    def _rewrite(self, directive: Directive, when: Match, level: Level) -> None:
        text, target, flag = (*directive.args, "", "", "")[:3]
        expression = pattern(text)
        meanings = self._scene.meanings(level, {**self._captures, **expression.captures})
        found = Match(kind="regex", path=expression.text).and_(when)
        if found is None:
            return
        if flag in _STATUSES or target.startswith(_ELSEWHERE):
            to = self._with_query(directive, target)
            action = redirect(self._scene, level, to, _STATUSES.get(flag, 302), meanings)
            whole(expression, target)
            self._add(found, action, directive)
            self.ended = when == ANY and _is_all(expression, self._at)
            return
        if "?" in target:
            raise NotCarriedError("a rewrite changes the path alone; let the application see to it")
        becomes = whole(expression, template(target, meanings))
        simple = _as_prefix(expression, becomes) if when == ANY else None
        if simple:
            found, becomes = simple
        path_of(becomes)
        for draft in self._onward(found, becomes, expression.captures, flag):
            kept = draft.under(self.only)
            self.before += [kept] if kept else []
        self.ended = when == ANY and _is_all(expression, self._at)


def _is_all(expression: Pattern, at: Match) -> bool:
    """Does it match whatever comes here?"""
    begins = re.fullmatch(r"\^?(/[A-Za-z0-9/_-]*)?\(?(/?)\.\*\)?\$?", expression.text)
    if begins is None or at.kind != "prefix":
        return begins is not None and not begins[1]
    return at.path.startswith((begins[1] or "") + begins[2])


def _as_prefix(expression: Pattern, becomes: str) -> tuple[Match, str] | None:
    """`^/api/(.*)$` to `/x/$1` is the prefix /api/ that becomes /x/."""
    match = re.fullmatch(r"\^(/[A-Za-z0-9/_-]*)\((/?)\.\*\)\$?", expression.text)
    if match is None or not becomes.endswith("$1") or becomes.count("$") != 1:
        return None
    prefix, put = match[1] + match[2], becomes.removesuffix("$1") + match[2]
    if not prefix.endswith("/") or not put.startswith("/"):
        return None
    return Match(kind="prefix", path=prefix), put
