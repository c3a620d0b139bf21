# SPDX-License-Identifier: Apache-2.0
"""Where a key's unfinished transactions are kept: in memory, and in a small file if a folder is given.

The file is written (and on the disk) before anything is sent, and replaced as a whole, so that a
process which is killed at any moment finds its transactions again. Processes that share a folder
take turns by a lock file.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from trustedpods.contracts.client.client_limits import USUAL, ClientLimits
from trustedpods.contracts.client.transactions.pending_transactions import Call, Fees, Form, Outgoing
from trustedpods.protocol.errors import BadInput, Locked, NoContext
from trustedpods.protocol.ids import Address
from trustedpods.protocol.lockfile import open_lock, taken
from trustedpods.protocol.whole_file import private_folder, replace_whole

_VERSION = 1
_POLL_S = 0.02


class Outbox:
    """Unfinished transactions of one key on one chain, by `Outgoing.id`.

    `turn` keeps the tasks of this process apart, the lock file processes; `permits` those that
    sign permits. `attended` are the ids that a task of this process waits for; `latest` is what
    was last seen of each, which is not kept on disk. Both belong to trio's thread.
    """

    def __init__(self, path: Path | None, limits: ClientLimits = USUAL) -> None:
        self.path = path
        self._limits = limits
        self.turn = trio.Lock()
        self.permits = trio.Lock()
        self.attended: set[bytes] = set()
        self.latest: dict[bytes, Outgoing] = {}
        self._held: dict[bytes, Outgoing] = {}

    @contextmanager
    def exclusive(self) -> Iterator[dict[bytes, Outgoing]]:
        """The transactions, to read and change; for threads of tasks that hold `turn`.

        Raises `Locked` when another process does not let go, `BadInput` when the file is damaged,
        `NoContext` when the folder cannot be written.
        """
        if self.path is None:
            yield self._held
            return
        with _disk(self.path):
            private_folder(self.path.parent)
            lock = open_lock(self.path.with_suffix(".lock"))
        try:
            with _disk(self.path):
                _wait_for(lock, self.path, self._limits.lock_s)
                self._held = _load(self.path, self._limits.journal_bytes)
            yield self._held
        finally:
            os.close(lock)

    def save(self) -> None:
        """Make the present state last; only inside `exclusive`."""
        if self.path is not None:
            with _disk(self.path):
                _write(self.path, self._held)


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NoContext(
            f"unfinished transactions cannot be kept: {error.strerror}",
            where=str(path.parent),
            hint="nothing is sent before it is on the disk; make room, or let this user write there",
        ) from None


def _wait_for(lock: int, path: Path, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not taken(lock):
        if time.monotonic() > deadline:
            raise Locked("another process holds this key's transactions", where=str(path))
        time.sleep(_POLL_S)


def _load(path: Path, most: int) -> dict[bytes, Outgoing]:
    try:
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except FileNotFoundError:
        return {}
    try:
        data = json.loads(raw) if len(raw) <= most else {}
        read = [_outgoing(entry) for entry in data["transactions"]]
        known = data["version"] == _VERSION
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        known, read = False, []
    if not known:
        raise BadInput(
            "this is not a file of unfinished transactions",
            where=str(path),
            hint="move it away once you know by a block explorer that none of this key is pending",
        )
    return {out.id: out for out in read}


def _write(path: Path, held: dict[bytes, Outgoing]) -> None:
    body = {"version": _VERSION, "transactions": [_plain(out) for out in held.values()]}
    replace_whole(path, json.dumps(body).encode())


def _plain(out: Outgoing) -> dict[str, Any]:
    call = out.call
    return {
        "nonce": out.nonce,
        "intent": out.intent.hex(),
        "call": {"to": call.to, "value": call.value, "data": call.data.hex(), "gas": call.gas},
        "forms": [
            {
                "raw": form.raw.hex(),
                "hash": form.tx_hash.hex(),
                "most": form.fees.most,
                "tip": form.fees.tip,
                "at": form.at,
            }
            for form in out.forms
        ],
    }


def _outgoing(entry: dict[str, Any]) -> Outgoing:
    call = entry["call"]
    forms = tuple(
        Form(
            bytes.fromhex(form["raw"]),
            bytes.fromhex(form["hash"]),
            Fees(int(form["most"]), int(form["tip"])),
            float(form["at"]),
        )
        for form in entry["forms"]
    )
    if not forms:
        raise ValueError
    to = None if call["to"] is None else Address(call["to"])
    return Outgoing(
        nonce=int(entry["nonce"]),
        intent=bytes.fromhex(entry["intent"]),
        call=Call(to, int(call["value"]), bytes.fromhex(call["data"]), int(call["gas"])),
        forms=forms,
    )
