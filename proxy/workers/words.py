"""What the processes of one sidecar say to one another: the kinds of messages."""

from typing import Final

HELLO: Final = "hello"  # worker to office: slot, process id
FRAME: Final = "frame"  # office to worker: a piece of the registry (see `generations.frames`)
FACT: Final = "fact"  # either way: what was learnt of a server (see `registry.hearsay`)
EVENTS: Final = "events"  # worker to office: what happened
TOLD: Final = "told"  # worker to office: anything else that happened
POSTED: Final = "posted"  # office to worker: that is all there is for now
OWNED: Final = "owned"  # office to worker: its paths, for everybody and for operators
COUNTED: Final = "counted"  # worker to office: what it has counted since it last said so
NUMBERS: Final = "numbers"  # worker to office: its numbers of the moment
REPORT: Final = "report"  # asked of a worker: to tell both, now
TAKE: Final = "take"  # asked of the office: may these calls go, by their limits?
BEGIN: Final = "begin"  # asked of the office: has this call, by its key, been made?
MAKING: Final = "making"  # worker to office: this call is being made here, and was before you came
FINISH: Final = "finish"  # worker to office: it is over, and this is its answer, if there is one
WANT: Final = "want"  # worker to office: a permit, of so many that there are of this name
HOLD: Final = "hold"  # worker to office: it has so many of them, and had before you came
RETURN: Final = "return"  # worker to office: so many of them back
GRANT: Final = "grant"  # office to worker: one of them is yours
RECALL: Final = "recall"  # office to worker: somebody else wants one of yours
