"""`events`: what happened, what happens, and what it adds up to."""

import logging
import re
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from proxy.client.codec import mapping
from proxy.client.listing import page_of, with_query
from proxy.client.models import Event
from proxy.people.gateway import Gateway
from proxy.people.output import Output
from proxy.people.tables import Column, Sheet, cell, fitted, line, pairs, table, title_line
from proxy.people.unusable import UnusableError

_EVENTS: Final = "/api/v1/events"
_USUALLY_LISTED: Final = 100
_SPAN: Final = re.compile(r"\d{1,12}(?:\.\d{1,9})?(?:ms|s|m|h|d)", re.ASCII)
_HEADS: Final = (
    Column("UTC"),
    Column("TYPE"),
    Column("ABOUT", yields_room=True),
    Column("STATUS", painted=True),
    Column("MS", number=True),
    Column("TRACE", yields_room=True),
)
_OF_FAILURES: Final = (
    Column("FAILED AT"),
    Column("ABOUT"),
    Column("CODE"),
    Column("WHY", yields_room=True),
)
_FOLLOWED_WIDTHS: Final = (18, 20, 32, 9, 9, 48)  # what is still to come cannot be measured
_OF_TOOLS: Final = (Column("BY TOOL"), Column("CALLS", number=True), Column("MS", number=True))
_STREAMS: Final = logging.getLogger("proxy.client.sse")


async def events(gateway: Gateway, output: Output, options: Namespace) -> int:
    """The past, then the present where it was asked for."""
    _require_usable(options)
    if options.summary:
        return await _summary(gateway, output, options)
    if not options.follow:
        found = await _listed(gateway, options)
        _show(found, output)
        return 0
    last_id, shown = "", frozenset[str]()
    if options.since or options.limit:
        last_id = await _newest_id(gateway)
        found = await _listed(gateway, options)
        shown = frozenset(str(each.get("event_id")) for each in found)
        _show(found, output, following=True)
    elif output.for_people:
        output.lines([title_line(_HEADS, _widths(output.sheet), output.sheet)])
    target = with_query(_EVENTS, **_filters(options))
    async with aclosing(gateway.stream(target, last_id)) as stream:
        with _reconnects_noted(output):
            async for event in stream:
                if event.event_id not in shown:
                    _show_now(_document_of(event), output)
    return 0


def _require_usable(options: Namespace) -> None:
    if options.since is not None and not _is_since(options.since):
        raise UnusableError("--since: expected a span as 24h or 30m, or an ISO 8601 moment")
    if not options.summary:
        return
    if options.trace in (None, "", ".", ".."):
        raise UnusableError("--summary is of one trace: give its --trace ID")
    if options.follow:
        raise UnusableError("--summary is of the past, and cannot --follow")


def _is_since(text: str) -> bool:
    try:
        return bool(_SPAN.fullmatch(text) or datetime.fromisoformat(text))
    except ValueError:
        return False


async def _listed(gateway: Gateway, options: Namespace) -> list[dict[str, object]]:
    """The newest, oldest first."""
    limit = str(options.limit or _USUALLY_LISTED)
    filters = _filters(options)
    target = with_query(_EVENTS, format="json", limit=limit, since=options.since, **filters)
    return page_of(await gateway.document(target, "events"), "events", "events").rows


async def _newest_id(gateway: Gateway) -> str:
    """Where a stream goes on that must miss nothing: what it repeats has been shown."""
    document = await gateway.document(with_query(_EVENTS, format="json", limit="1"), "events")
    rows = page_of(document, "events", "events").rows
    return str(rows[-1].get("event_id") or "") if rows else ""


async def _summary(gateway: Gateway, output: Output, options: Namespace) -> int:
    target = f"{_EVENTS}/{quote(options.trace, safe='')}/summary"
    found = mapping(await gateway.document(target, "events --summary"))
    if output.for_people:
        output.lines(_summary_lines(found, output.sheet))
    else:
        output.document(found)
    return 0


def _filters(options: Namespace) -> dict[str, str | None]:
    return {
        "types": options.type,
        "server": options.server,
        "trace_id": options.trace,
        "status": options.status,
    }


def _show(found: list[dict[str, object]], output: Output, *, following: bool = False) -> None:
    if not output.for_people:
        output.json_lines(found)
    elif following:
        title = title_line(_HEADS, _widths(output.sheet), output.sheet)
        output.lines([title, *(_line(each, output.sheet) for each in found)])
    else:
        output.lines(table(_HEADS, map(_row, found), output.sheet))


def _show_now(event: dict[str, object], output: Output) -> None:
    if output.for_people:
        output.lines([_line(event, output.sheet)])
    else:
        output.json_lines([event])


def _document_of(event: Event) -> dict[str, object]:
    """A message as the list would show it; one that is no JSON object keeps its text."""
    try:
        document = event.document
    except ValueError:
        document = {"message": event.data}
    return {"event_type": event.event_type, **document}


def _line(event: Mapping[str, object], sheet: Sheet) -> str:
    return line(_HEADS, [cell(each) for each in _row(event)], _widths(sheet), sheet)


def _widths(sheet: Sheet) -> list[int]:
    return fitted(_HEADS, _FOLLOWED_WIDTHS, sheet)


def _row(event: Mapping[str, object]) -> tuple[object, ...]:
    said = (event.get(key) for key in ("trace_id", "error_message", "reason", "message"))
    words = " ".join(str(each) for each in said if each)
    if event.get("event_type") == "gap":
        words = f"{event.get('count')} events are no longer held"
    kind, status = event.get("event_type"), event.get("status")
    return _at(event), kind, _about(event), status, event.get("duration_ms"), words


def _at(event: Mapping[str, object]) -> str:
    """Month to millisecond; a moment of another form is left as it is."""
    text = str(event.get("timestamp") or "")
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%m-%d %H:%M:%S.%f")[:-3]
    except (ValueError, OverflowError):
        return text


def _about(event: Mapping[str, object]) -> str:
    return ".".join(str(event[key]) for key in ("server_name", "tool_name") if event.get(key))


def _summary_lines(found: Mapping[str, object], sheet: Sheet) -> Iterator[str]:
    kinds = ", ".join(f"{count} {kind}" for kind, count in mapping(found.get("by_type")).items())
    yield from pairs(
        (
            ("trace", found.get("trace_id")),
            ("events", found.get("total_events")),
            ("types", kinds),
            ("succeeded", found.get("success_count")),
            ("failed", found.get("error_count")),
            ("duration ms", found.get("total_duration_ms")),
            ("first", found.get("first_at")),
            ("last", found.get("last_at")),
        ),
        sheet,
    )
    tools = {name: mapping(spent) for name, spent in mapping(found.get("by_tool")).items()}
    if tools:
        rows = [(name, each.get("count"), each.get("avg_ms")) for name, each in tools.items()]
        yield from ("", *table(_OF_TOOLS, rows, sheet))
    failures = found.get("errors")
    if isinstance(failures, list) and failures:
        failed = [_failure(mapping(each)) for each in failures]
        yield from ("", *table(_OF_FAILURES, failed, sheet))


def _failure(error: Mapping[str, object]) -> tuple[object, ...]:
    return _at(error), _about(error), error.get("error_code"), error.get("error_message")


@contextmanager
def _reconnects_noted(output: Output) -> Iterator[None]:
    """A person is told that the stream broke and is sought again."""

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            output.note(record.getMessage())

    notes, before = Notes(), _STREAMS.level
    _STREAMS.addHandler(notes)
    _STREAMS.setLevel(logging.INFO)
    try:
        yield
    finally:
        _STREAMS.removeHandler(notes)
        _STREAMS.setLevel(before)
