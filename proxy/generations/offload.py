"""Loading elsewhere: how does a registry get here without the event loop noticing?

Knows the child process and what passes between the two. Does not know what a registry means.

A thread would hold the interpreter while it parses; so a child process reads the file and sends
what it found in frames (length, then msgpack), each decoded in far less than a callback may take.
"""

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import AsyncIterator, Iterator
from subprocess import PIPE, Popen
from typing import IO, Final, TypeVar

import msgspec

from proxy.config.document import Finding
from proxy.generations.frames import MAX_FRAME_BYTES, Assembly, frames_of, rejection
from proxy.generations.reading import Candidate, Job, read_file
from proxy.registry.load import RegistryRejectedError

T = TypeVar("T")

_SLICE_S: Final = 0.002  # of decoding, then others have their turn
_LENGTH_BYTES: Final = 4


class NotLoadedError(RegistryRejectedError):
    """The child failed: nothing is known of the text."""

    def __init__(self, path: str, why: str) -> None:
        message = f"cannot read {path}: the process that does it {why}"
        super().__init__([Finding("UNREADABLE", message, "error", "", None, path)])


async def read_elsewhere(job: Job, handle: int | None = None) -> Candidate:
    """Read a registry in a child process, with the environment that this process has.

    `handle` is a descriptor that the child is lent. RegistryRejectedError as from `read_file`;
    `NotLoadedError` when the child fails. It never outlives the call.
    """
    try:
        process = _start(() if handle is None else (handle,))
    except OSError as error:
        raise NotLoadedError(job.name, f"cannot be started: {error.strerror}") from None
    try:
        # A child that is gone already is found out when there is nothing to read of it.
        with contextlib.suppress(BrokenPipeError), _there(process.stdin) as stdin:
            stdin.write(msgspec.msgpack.encode(job))
        async with _reader_of(_there(process.stdout)) as stdout:
            return await _receive(stdout)
    except EOFError:
        raise NotLoadedError(job.name, "ended early") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise NotLoadedError(job.name, f"cannot be understood: {error}") from None
    finally:
        await _end(process)


def _start(handles: tuple[int, ...]) -> "Popen[bytes]":
    # Not the loop's own way, which copies this process's page tables first: 10 ms at 200 MB.
    return Popen(  # noqa: S603 - our own command
        _command(),
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry or "." for entry in sys.path)},
        pass_fds=handles,
        start_new_session=True,  # Ctrl-C is for us
    )


def _command() -> tuple[str, ...]:
    # -P: what lies in the working directory is not ours to import.
    return sys.executable, "-P", "-m", "proxy.generations.offload"


async def _receive(stdout: asyncio.StreamReader) -> Candidate:
    clock = asyncio.get_running_loop().time
    assembly = Assembly()
    began_at = clock()
    while (candidate := assembly.add(await _next_frame(stdout))) is None:
        if clock() - began_at > _SLICE_S:
            await asyncio.sleep(0)  # a read from a full buffer does not yield
            began_at = clock()
    return candidate


async def _next_frame(stdout: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await stdout.readexactly(_LENGTH_BYTES), "big")
    if length > MAX_FRAME_BYTES:
        raise OSError(f"a frame of {length} bytes")
    return await stdout.readexactly(length)


@contextlib.asynccontextmanager
async def _reader_of(pipe: IO[bytes]) -> AsyncIterator[asyncio.StreamReader]:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    with contextlib.closing(transport):
        yield reader


async def _end(process: "Popen[bytes]") -> None:
    process.kill()
    await asyncio.get_running_loop().run_in_executor(None, process.wait)


def _there(stream: T | None) -> T:
    if stream is None:
        raise OSError("no pipe to it")
    return stream


def _frames(job: Job) -> Iterator[bytes]:
    try:
        candidate = read_file(job, os.environ)
    except RegistryRejectedError as error:
        return rejection(error.findings)
    return frames_of(candidate)


def main() -> None:
    """The child: a job on standard input, frames on standard output."""
    gc.disable()  # nothing here lives long enough to be worth a look
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job)
    for encoded in _frames(job):
        sys.stdout.buffer.write(len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
