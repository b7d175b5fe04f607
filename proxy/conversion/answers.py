"""Answers that nginx makes itself, `return` and redirects, as a route's.

Knows statuses, texts and addresses. Does not know when they are due.
"""

from typing import Any, Final

from proxy.conversion.directives import Directive, Level
from proxy.conversion.headers import of_answer
from proxy.conversion.notes import NotCarriedError
from proxy.conversion.scene import Scene
from proxy.conversion.templates import Meanings, line, template

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_FOUND: Final = 302
_CLOSE: Final = 444
_NOT_FOUND: Final = 404
_PLAIN: Final = "text/plain"  # nginx's `default_type`


def returned(
    scene: Scene, directive: Directive, level: Level, captures: Meanings
) -> dict[str, Any]:
    """What `return` does."""
    meanings = scene.meanings(level, captures)
    first, text = directive.first, " ".join(directive.args[1:])
    if not first.isdecimal():
        return redirect(scene, level, first, _FOUND, meanings)
    status = int(first)
    if status in _REDIRECTS:
        return redirect(scene, level, text, status, meanings)
    if status == _CLOSE:
        scene.notes.leave_out(directive, "a connection is not closed unasked; it is answered 404")
        return respond(scene, level, _NOT_FOUND, "", meanings)
    if not 200 <= status <= 599:  # noqa: PLR2004 - what is a final status
        raise NotCarriedError("this is no status of an answer; choose one of 200 to 599")
    return respond(scene, level, status, text, meanings)


def respond(
    scene: Scene, level: Level, status: int, text: str, meanings: Meanings
) -> dict[str, Any]:
    answer: dict[str, Any] = {"status": status}
    headers = of_answer(level, status, meanings, scene.notes)
    kind = next((headers.pop(name) for name in list(headers) if name.lower() == "content-type"), "")
    if text:
        answer["body"] = template(text, meanings)
        answer["content_type"] = kind or level.word("default_type", _PLAIN)
    return {"respond": answer | ({"headers": headers} if headers else {})}


def redirect(
    scene: Scene, level: Level, target: str, status: int, meanings: Meanings
) -> dict[str, Any]:
    """To a URL, or to a path of this server."""
    where = line(target, meanings)
    if not where:
        raise NotCarriedError("a redirect needs somewhere to go; name it")
    return sent_to(scene, level, where, status, meanings)


def sent_to(
    scene: Scene, level: Level, where: str, status: int, meanings: Meanings
) -> dict[str, Any]:
    """The same, by a template of ours."""
    if where.startswith("/"):
        where = scene.own_address(level) + where
    action: dict[str, Any] = {"redirect": {"to": where, "status": status}}
    headers = of_answer(level, status, meanings, scene.notes)
    return action | ({"response_headers": {"set": headers}} if headers else {})


def refused(status: int, why: str) -> dict[str, Any]:
    """In the place of what was not carried over: closed rather than open."""
    return {"respond": {"status": status, "body": f"{why}\n", "content_type": _PLAIN}}
