"""The report: what was measured, where, with what, and what of it cannot be compared."""

import json  # noqa: TID251 - results are read by people too: indented
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.cases import Case
from benchmarks.figures import Measurements
from benchmarks.machine import interpreter, machine
from benchmarks.peers.peer import Peer
from benchmarks.rounds import Plan
from benchmarks.selection import Field
from benchmarks.tables import table

NOT_COMPARABLE: Final = """\
- wrk and the upstream share the other core, and are what the fastest proxies wait for: calls/s of
  those is wrk's figure rather than theirs. CPU time per call is the one to trust; the kernel counts
  it, for every thread and child of the proxy and with the time spent in the kernel.
- The sidecar remembers the last head of each connection, and wrk says the same again and again.
  Where callers send ids of their own, expect the cases "no head like another".
- Only the sidecar takes up a changed registry while it runs, checks its upstream's health, counts
  for metrics and carries trace context on here; the others do what a call needs.
- All but aiohttp and FastAPI spread the calls over three endpoints (addresses of one process): the
  sidecar by `least_request`, with ejection, breaker, retries and limits on; nginx, HAProxy and
  Envoy by round robin, which costs them least. "Small call, one endpoint" is the case without.
- The FastAPI gateway parses calls and answers and holds them whole; all others pass bytes on.
- Bodies of 10 MB come from a file in memory and are discarded in the kernel, so that both ends cost
  next to nothing; a real network costs more.
- Resident memory is added up over a proxy's processes: what nginx's master and worker share counts
  twice. Memory of the kernel (socket buffers) counts for nobody.
- A start is from the call of the command to the first answer, on one core, with warm disk caches.
"""


class Setting(NamedTuple):
    """How it was measured, and with whom."""

    field: Field
    rounds: int
    seconds: float
    pinned: bool = True  # the proxy to a core of its own

    @property
    def load(self) -> str:
        if self.rounds == 1:
            return f"one round, {self.seconds:g} s for each case and proxy"
        return (
            f"medians of {self.rounds} interleaved rounds, {self.seconds:g} s for each case and"
            " proxy, with the lowest and the highest round"
        )


def facts(
    setting: Setting, plan: Plan, measured: Measurements, limits: str = NOT_COMPARABLE
) -> dict[str, object]:
    """Everything, for programs."""
    return {
        "machine": machine(pinned=setting.pinned),
        "python": interpreter(),
        "figures": setting.load,
        "peers": [
            {"peer": peer.key, "title": peer.title, "version": version, "apart": peer.apart}
            for peer, version in setting.field.versions.items()
        ],
        "left_out": setting.field.left_out,
        "not_comparable": limits,
        "cases": [{"case": case.key, "title": case.title, "how": case.how} for case, _ in plan],
        "medians": [
            {
                "case": case.key,
                "peer": peer.key,
                **{
                    figure.key: measured.spread(case.key, peer.key, figure)._asdict()
                    for figure in case.figures
                },
            }
            for case, peers in plan
            for peer in peers
        ],
        "rounds": measured.as_rows(),
    }


def write(folder: Path, name: str, content: Mapping[str, object], lines: Iterable[str]) -> None:
    """One file for programs, one for people; the latter is printed too."""
    folder.mkdir(parents=True, exist_ok=True)
    encoded = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / f"{name}.json").write_text(f"{encoded}\n")
    text = "\n".join(lines)
    (folder / f"{name}.md").write_text(f"{text}\n")
    print(text)


def where(setting: Setting) -> Iterator[str]:
    """Lines on machine, interpreter, load, peers and who was left out."""
    place = machine(pinned=setting.pinned)
    for title, value in (("Machine", place), ("Python", interpreter())):
        yield f"{title}: {', '.join(f'{key} {word}' for key, word in value.items())}.  "
    yield f"Figures: {setting.load}."
    yield from table(
        ("proxy", "version", "what sets it apart"),
        ((peer.title, said, peer.apart) for peer, said in setting.field.versions.items()),
    )
    for title, why in setting.field.left_out.items():
        yield f"Left out: {title}, {why}.  "


def case_tables(plan: Plan, measured: Measurements) -> Iterator[str]:
    """A heading and a table for each case, then the calls that failed."""
    for case, peers in plan:
        yield f"### {case.title}"
        yield ""
        yield f"{case.how}."
        yield from _case_table(case, peers, measured)
    for (case_key, peer_key), count in measured.failed().items():
        yield f"Failed calls: {count} of {peer_key} in {case_key}.  "


def not_comparable(limits: str = NOT_COMPARABLE) -> Iterator[str]:
    yield from ("## What is not comparable", "", limits.rstrip())


def _case_table(case: Case, peers: Sequence[Peer], measured: Measurements) -> Iterator[str]:
    with_base = case.base in measured.peers(case.key)
    ratio = case.ratio if with_base else None
    more = case.more if with_base else None
    heads = ["proxy", *(figure.heading for figure in case.figures)]
    if ratio:
        heads.append(f"{ratio.heading} ÷ {case.base}'s")
    if more:
        heads.append(f"{more.heading} more than {case.base}'s")
    rows = []
    for peer in peers:
        row = [peer.title]
        row += (
            measured.spread(case.key, peer.key, each).shown(each.digits) for each in case.figures
        )
        if ratio:
            divide = measured.pairwise if case.slices > 1 else measured.ratio
            row.append(divide(case.key, ratio, peer.key, case.base).shown(2))
        if more:
            row.append(measured.difference(case.key, more, peer.key, case.base).shown(more.digits))
        rows.append(row)
    yield from table(heads, rows)
