# SPDX-License-Identifier: Apache-2.0
"""The only door to HAProxy: commands over its runtime socket, one connection each.

Failures of the socket are NetworkFailure; a command that HAProxy refuses is Refused (rule
`haproxy`). Replies are bounded in size and time.
"""

import csv
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError
from trustedpods.provider.core.traffic import PodTraffic, SlotStats
from trustedpods.provider.facade.haproxy.config import BACKEND_ID_BASE, slot_of
from trustedpods.provider.facade.haproxy.files import replace_file
from trustedpods.provider.facade.haproxy.maps import Entries, map_commands, map_text, parse_map_reply
from trustedpods.provider.facade.haproxy.servers import ACTIVATOR, ServerSeen, parse_servers, removal_commands
from trustedpods.provider.facade.haproxy.sessions import Session, parse_sessions

MAX_REPLY = 64 * 1024 * 1024
"""`show servers state` of 16,384 slots with 20 pods each is under 40 MB."""

SLOTS_PER_CALL = 64
"""Statistics asked for on one line; HAProxy reads lines of up to 16 KB."""

MOST_SAID = 200
"""Signs of a refused command, and of what was answered: a value of a map may be a page of many kilobytes."""

REMOVAL_TRIES = 5
REMOVAL_PAUSE_S = 0.1
"""Connections that were cut are gone in milliseconds; a busy HAProxy takes longer."""

ASK_EVERY_S = 1.0
"""Every start makes the socket's file anew, but not a process that inherits the socket (USR2 to a master)."""

_DONE = {"", "New server registered.", "Server deleted."}
_BACKENDS_AND_SERVERS = 2 | 4  # types of rows in `show stat`


@dataclass(frozen=True, slots=True)
class _Heard:
    """That the process named *boot* answered at *at*, where its socket's file was *listener*."""

    boot: str
    listener: tuple[int, int, int] | None
    at: float

    def follows(self, before: "_Heard | None") -> bool:
        """Whether nothing says that another process listens since *before*."""
        if before is None or self.at >= before.at + ASK_EVERY_S:
            return False
        return (self.boot, self.listener) == (before.boot, before.listener)


class Runtime:
    """HAProxy's runtime socket at *path*; each command ends within *timeout* seconds and *most* bytes."""

    def __init__(self, path: Path, *, timeout: float = 5.0, most: int = MAX_REPLY) -> None:
        self._path = path
        self._most = most
        self._timeout = timeout
        self._limiter = trio.CapacityLimiter(8)  # HAProxy takes 32, other programs among them
        self._heard: _Heard | None = None

    async def command(self, line: str) -> str:
        """The reply to one line; NetworkFailure if there is none in time."""
        assert "\n" not in line
        return await self._limited(line)

    async def _limited(self, line: str) -> str:
        try:
            async with self._limiter:
                with trio.fail_after(self._timeout):
                    return await self._exchange(line)
        except trio.TooSlowError:
            raise NetworkFailure(f"no answer within {self._timeout:g} s", where=str(self._path)) from None
        except (OSError, trio.BrokenResourceError) as broken:
            raise NetworkFailure(
                f"HAProxy cannot be reached: {broken}", where=str(self._path), hint="is it running?"
            ) from None

    async def run(self, commands: Iterable[str]) -> None:
        """Run commands that answer nothing; stops at the first that is refused."""
        for command in commands:
            reply = (await self.command(command)).strip()
            if reply not in _DONE:
                said = f"{command[:MOST_SAID]}: {reply[:MOST_SAID]}"
                raise Refused(said, where="haproxy", rule="haproxy")

    async def send(self, command: str, payload: str) -> None:
        """A command with a payload of several lines, none of them empty; what it answers must be success."""
        lines = [line for line in payload.splitlines() if line]
        await self._expected(
            command, "\n".join([f"{command} <<", *lines, ""]), "Success!", "created", "updated"
        )

    async def expect(self, command: str, *answers: str) -> None:
        """A command that must answer one of these; Refused otherwise."""
        await self._expected(command, command, *answers)

    async def _expected(self, command: str, text: str, *answers: str) -> None:
        reply = (await self._limited(text)).strip()
        if not any(answer in reply for answer in answers):
            raise Refused(f"{command}: {reply[:200]}", where="haproxy", rule="haproxy")

    async def boot(self) -> str:
        """Name of the process that answers: another one after every restart."""
        return _boot(await self.command("show info"))

    async def still(self, boot: str) -> bool:
        """Whether the process of this name listens yet; NetworkFailure if it is asked and nobody answers.

        Asked as often as one likes: HAProxy itself is asked where the socket's file became another, or
        `ASK_EVERY_S` ago.
        """
        heard = _Heard(boot, self._listener(), trio.current_time())
        if not heard.follows(self._heard):
            if await self.boot() != boot:
                return False
            self._heard = heard
        return True

    def _listener(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_ctime_ns

    async def entries(self, map_file: Path) -> dict[str, str]:
        """A map as the process has it, which is not always the file."""
        return parse_map_reply(await self.command(f"show map {map_file}"))

    async def sync_map(self, file: Path, wanted: Entries) -> None:
        """Make a map equal to *wanted*. The file first: a restart between the two finds the newer state."""
        await trio.to_thread.run_sync(replace_file, file, map_text(wanted).encode())
        await self.run(map_commands(file, wanted, await self.entries(file)))

    async def servers(self, backend: str | None = None) -> tuple[ServerSeen, ...]:
        """Servers added at run time, of one backend or of all."""
        reply = await self.command(f"show servers state {backend or ''}".strip())
        if not reply.startswith("1\n"):
            raise Refused(f"no servers: {reply.strip()[:200]}", where="haproxy", rule="haproxy")
        return parse_servers(reply)

    async def remove(self, server: ServerSeen, *, cut: bool) -> bool:
        """Shut off and remove; False while HAProxy still has a connection to it."""
        *stop, delete = removal_commands(server, cut=cut)
        await self.run(stop)
        for left in reversed(range(REMOVAL_TRIES if cut else 1)):
            try:
                await self.run([delete])
            except Refused:
                if left:
                    await trio.sleep(REMOVAL_PAUSE_S)
            else:
                return True
        return False

    async def sessions(self) -> list[Session]:
        """Every request or connection of a slot that is in flight."""
        return parse_sessions(await self.command("show sess"))

    async def stats(self, slots: Iterable[int]) -> dict[int, SlotStats]:
        """Counters of the given slots only: asking for all costs 36 ms of HAProxy's time."""
        numbers = sorted(set(slots))
        found: dict[int, SlotStats] = {}
        for start in range(0, len(numbers), SLOTS_PER_CALL):
            found |= await self._stats(numbers[start : start + SLOTS_PER_CALL])
        return found

    async def _stats(self, slots: Sequence[int]) -> dict[int, SlotStats]:
        asks = [f"show stat {BACKEND_ID_BASE + slot} {_BACKENDS_AND_SERVERS} -1" for slot in slots]
        reply = await self.command(";".join(["show info", *asks]))
        head, _, tables = reply.partition("# pxname")
        try:
            return parse_stats(_boot(head), "# pxname" + tables)
        except (KeyError, ValueError) as bad:
            raise RemoteProtocolError(f"statistics without {bad}", where="haproxy") from None

    async def _exchange(self, line: str) -> str:
        async with await trio.open_unix_socket(str(self._path)) as stream:
            await stream.send_all(line.encode() + b"\n")
            reply = bytearray()
            while data := await stream.receive_some(65536):
                reply += data
                if len(reply) > self._most:
                    raise RemoteProtocolError("a reply is too long", where="haproxy")
        return reply.decode(errors="replace")


async def tried(step: Awaitable[None]) -> Refused | NetworkFailure | None:
    """Why *step* failed; None if it did not."""
    try:
        await step
    except (Refused, NetworkFailure) as error:
        return error
    return None


def parse_stats(boot: str, text: str) -> dict[int, SlotStats]:
    """Counters per slot, of one or more `show stat` tables.

    In flight and bytes are the BACKEND row's: the requests that woke a pod run through the
    activator and are missing in the pod's own row.
    """
    pods: dict[int, list[PodTraffic]] = {}
    held: dict[int, int] = {}
    found: dict[int, SlotStats] = {}
    for row in _rows(text):
        slot = slot_of(row["pxname"])
        if slot is None:
            continue
        if row["svname"] == ACTIVATOR:
            held[slot] = int(row["scur"])
        elif row["svname"] != "BACKEND":
            serving = not row["status"].startswith("MAINT")
            pods.setdefault(slot, []).append(PodTraffic(row["svname"], int(row["scur"]), serving))
        else:
            last = int(row["lastsess"] or -1)
            found[slot] = SlotStats(
                boot=boot,
                current=int(row["scur"]),
                total=int(row["stot"]),
                bytes_in=int(row["bin"]),
                bytes_out=int(row["bout"]),
                held=held.get(slot, 0),
                pods=tuple(pods.get(slot, ())),
                last_session_s=last if last >= 0 else None,
            )
    return found


def _rows(text: str) -> Iterable[dict[str, str]]:
    columns: list[str] = []
    for row in csv.reader(text.splitlines()):
        if row and row[0].startswith("# "):
            columns = [row[0][2:], *row[1:]]
        elif row:
            yield dict(zip(columns, row, strict=False))


def _boot(info: str) -> str:
    facts = dict(line.split(": ", 1) for line in info.splitlines() if ": " in line)
    try:
        return f"{int(facts['Pid'])}.{int(facts['Start_time_sec'])}"
    except (KeyError, ValueError):
        raise RemoteProtocolError("HAProxy does not say who it is", where="haproxy") from None
