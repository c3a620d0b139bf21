# SPDX-License-Identifier: Apache-2.0
"""`cp`: files and folders between this machine and a container, by the `tar` of its image."""

import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

import trio

from trustedpods.protocol.errors import BadInput, Refused, TrustedPodsError
from trustedpods.publisher.core.names import check_name
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.results.pods import ExecResult, VisitProgress
from trustedpods.publisher.results.streams.copied import CopyResult
from trustedpods.publisher.verbs.running.exec import ReadInput, execute, make_body
from trustedpods.publisher.verbs.streams.archives import CopyUnpacker, pack, put_in_place

T = TypeVar("T")

MAX_TOLD = 600
"""Bytes of what tar wrote to its errors that are told: its first words say why."""

BAR_FROM = 1_000_000
"""Bytes of a file that has a bar of its own; smaller ones are over before it is seen."""


@dataclass(frozen=True, slots=True)
class PodPath:
    """`NAME:/path`. With a slash at its end it is a folder to copy into."""

    pod: str
    path: PurePosixPath
    into: bool


def parse_place(text: str) -> PodPath | Path:
    """`NAME:/path` of a pod, or a path here (`./a:b` is one); BadInput where a pod's is not absolute."""
    name, colon, path = text.partition(":")
    if not colon or "/" in name or not name:
        return Path(text)
    if not path.startswith("/") or "\0" in path or ".." in PurePosixPath(path).parts:
        raise BadInput("a path in a pod begins with / and has no ..", where=text, hint=f"{name}:/folder/file")
    return PodPath(check_name(name), PurePosixPath(path), into=path.endswith("/"))


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """Where in the pod: its first container and newest ready replica, unless these say otherwise."""

    container: str | None = None
    replica: str | None = None


async def copy(
    account: MarketAccount,
    source: str,
    target: str,
    options: CopyOptions,
    progress: VisitProgress,
    journal: Journal,
) -> CopyResult:
    """Copy a file or a folder; one of the two is a `NAME:/path`.

    Raises Refused (rule `no-tar`) where the container has no tar, (rule `copy`) where tar failed,
    RemoteProtocolError (rule `copy-unsafe`) for an archive that would leave the target, BadInput for what
    cannot be read or written here.
    """
    ends = parse_place(source), parse_place(target)
    run = _Run(account, options, progress, journal)
    match ends:
        case PodPath() as there, Path() as here:
            return await run.fetch(there, here)
        case Path() as here, PodPath() as there:
            return await run.send(here, there)
        case _:
            raise BadInput(
                "one of the two is a path in a pod", where="cp", hint="write NAME:/path for that one"
            )


class _Run:
    """One copy."""

    def __init__(
        self, account: MarketAccount, options: CopyOptions, progress: VisitProgress, journal: Journal
    ) -> None:
        self._account = account
        self._options = options
        self._progress = progress
        self._journal = journal
        self._errors = bytearray()
        self._left_out: list[str] = []

    async def fetch(self, there: PodPath, here: Path) -> CopyResult:
        """From the pod: unpacked beside the target, which is there whole or not at all."""
        if not there.path.name:
            raise BadInput("name a file or a folder below /", where=str(there.path))
        target = _target(here, there.path.name)
        words = ["tar", "-cf", "-", "-C", str(there.path.parent), f"./{there.path.name}"]
        with _folder_beside(target) as folder:
            unpacker = CopyUnpacker(folder, self._copied, self._skipped)
            pipe = _Pipe()
            done = await _beside(
                pipe, unpacker.run, pipe.reading, lambda: self._tar(there.pod, words, None, pipe)
            )
            self._check(done)
            if pipe.trouble is not None:
                raise pipe.trouble
            await trio.to_thread.run_sync(put_in_place, folder / there.path.name, target)
        return CopyResult(
            done.pod, f"{there.pod}:{there.path}", str(target), unpacker.files, unpacker.size, self._skips
        )

    async def send(self, here: Path, there: PodPath) -> CopyResult:
        """To the pod: under its own name into a folder, or under the name that the target says."""
        name = _own_name(here) if there.into else there.path.name
        folder = there.path if there.into else there.path.parent
        if not name:
            raise BadInput("name a file or a folder below /", where=str(there.path))
        words = ["tar", "-xof", "-", "-C", str(folder)]
        counted = (0, 0)

        def write(stream: IO[bytes]) -> None:
            nonlocal counted
            counted = pack(here, name, stream, self._copied, self._skipped)

        pipe = _Pipe()
        done = await _beside(pipe, write, pipe.writing, lambda: self._tar(there.pod, words, pipe.get, pipe))
        if pipe.trouble is not None:
            raise pipe.trouble
        self._check(done)
        files, size = counted
        return CopyResult(done.pod, str(here), f"{there.pod}:{folder / name}", files, size, self._skips)

    async def _tar(self, pod: str, words: Sequence[str], read: ReadInput | None, pipe: "_Pipe") -> ExecResult:
        async def write(stream: str, data: bytes) -> None:
            if stream == "stderr":
                self._errors.extend(data[: MAX_TOLD - len(self._errors)])
            elif read is None:
                await pipe.put(data)

        options = self._options
        body = make_body(words, stdin=read is not None, container=options.container, replica=options.replica)
        try:
            return await execute(self._account, pod, body, read, write, self._progress, self._journal)
        except Refused as error:
            if error.rule != "exec-start":
                raise
            raise Refused(
                "the container has no tar, by which files are copied",
                rule="no-tar",
                hint="name another container with -c, or put tar into the image",
            ) from error

    def _check(self, done: ExecResult) -> None:
        if done.exit_code:
            said = self._errors.decode(errors="replace").strip()
            what = f"tar in container {done.container} ended with {done.exit_code}"
            raise Refused(f"{what}: {said}" if said else what, rule="copy")

    def _copied(self, name: str, done: int, size: int) -> None:
        if size >= BAR_FROM:
            self._journal.show.progress(name, done, size)

    def _skipped(self, what: str) -> None:
        self._left_out.append(what)
        self._journal.show.warning(f"left out: {what}")

    @property
    def _skips(self) -> tuple[str, ...]:
        return tuple(self._left_out)


def _target(here: Path, name: str) -> Path:
    """Where a copy goes: into a folder that is there, under its own name, else what was written."""
    target = here / name if here.is_dir() else here
    if not target.parent.is_dir():
        raise BadInput("there is no such folder", where=str(target.parent))
    return target


@contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    """A new one of this user's alone, on the target's file system; gone behind the block."""
    try:
        made = tempfile.TemporaryDirectory(prefix=".trustedpods-cp-", dir=target.parent)
    except OSError as error:
        what = f"nothing can be written there: {error.strerror or error}"
        raise BadInput(what, where=str(target.parent)) from error
    with made as folder:
        yield Path(folder)


def _own_name(here: Path) -> str:
    """Of `.` and `..` too."""
    return Path(os.path.abspath(here)).name


class _Pipe:
    """Between a thread that works on a file and what is carried: no more waits than a kernel's pipe has.

    `trouble` is why the thread's work failed.
    """

    def __init__(self) -> None:
        out, into = os.pipe()
        self.reading, self.writing = os.fdopen(out, "rb"), os.fdopen(into, "wb")
        self.trouble: TrustedPodsError | None = None

    async def run(self, work: Callable[[IO[bytes]], None], end: IO[bytes]) -> None:
        """*work* in a thread, with *end*, which is closed behind it."""
        try:
            await trio.to_thread.run_sync(work, end)
        except BrokenPipeError:
            return  # whoever read has ended, and says why
        except TrustedPodsError as error:
            self.trouble = error
        finally:
            _close(end)

    async def put(self, data: bytes) -> None:
        """Hand on what came; behind an archive's end it is of no use, and thrown away."""

        def write() -> None:
            self.writing.write(data)
            self.writing.flush()

        try:
            await trio.to_thread.run_sync(write)
        except BrokenPipeError:
            if self.trouble is not None:
                raise self.trouble from None

    async def get(self, most: int) -> bytes:
        """What is to be sent next."""
        return await trio.to_thread.run_sync(os.read, self.reading.fileno(), most)


def _close(end: IO[bytes]) -> None:
    with suppress(OSError):  # what is left in it has no reader
        end.close()


async def _beside(
    pipe: _Pipe, work: Callable[[IO[bytes]], None], its: IO[bytes], run: Callable[[], Awaitable[T]]
) -> T:
    """What *run* gives, while *work* goes on at *its* end of the pipe."""
    other = pipe.writing if its is pipe.reading else pipe.reading
    done: T
    async with open_nursery() as nursery:
        nursery.start_soon(pipe.run, work, its)
        try:
            done = await run()
        finally:
            _close(other)
    return done
