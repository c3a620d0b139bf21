# SPDX-License-Identifier: Apache-2.0
"""A key's unfinished transactions: in memory, and in a journal if there is one.

They are written (and on the disk) before anything is sent, and replaced as a whole, so that a
process which is killed at any moment finds its transactions again.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from trustedpods.contracts.client.client_limits import USUAL, ClientLimits
from trustedpods.contracts.client.transactions.journals import TransactionJournal
from trustedpods.contracts.client.transactions.pending_transactions import Call, Fees, Form, Outgoing
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import Address

_VERSION = 1


class Outbox:
    """Unfinished transactions of one key on one chain, by `Outgoing.id`.

    `turn` keeps the tasks of this process apart, the journal processes; `permits` those that
    sign permits. `attended` are the ids that a task of this process waits for; `latest` is what
    was last seen of each, which is not kept. Both belong to trio's thread.
    """

    def __init__(
        self, journal: TransactionJournal | None, name: str = "", limits: ClientLimits = USUAL
    ) -> None:
        self._journal = journal
        self._name = name
        self._limits = limits
        self.turn = trio.Lock()
        self.permits = trio.Lock()
        self.attended: set[bytes] = set()
        self.latest: dict[bytes, Outgoing] = {}
        self._held: dict[bytes, Outgoing] = {}

    @property
    def permits_lock(self) -> Path | None:
        """The lock file by which processes that sign permits take turns, if others may."""
        return None if self._journal is None else self._journal.permits_lock(self._name)

    @contextmanager
    def exclusive(self) -> Iterator[dict[bytes, Outgoing]]:
        """The transactions, to read and change; for threads of tasks that hold `turn`.

        Raises `Locked` when another process does not let go, `BadInput` when what was written is damaged,
        and what the journal raises when it cannot be reached.
        """
        if self._journal is None:
            yield self._held
            return
        with self._journal.exclusive(self._name, self._limits.lock_s):
            most = self._limits.journal_bytes
            raw = self._journal.read(self._name, most)
            self._held = {} if raw is None else _load(raw, most, self._journal.where(self._name))
            yield self._held

    def save(self) -> None:
        """Make the present state last; only inside `exclusive`."""
        if self._journal is not None:
            self._journal.write(self._name, _content(self._held))


def _load(raw: bytes, most: int, where: str) -> dict[bytes, Outgoing]:
    try:
        data = json.loads(raw) if len(raw) <= most else {}
        read = [_outgoing(entry) for entry in data["transactions"]]
        known = data["version"] == _VERSION
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        known, read = False, []
    if not known:
        raise BadInput(
            "this is not a file of unfinished transactions",
            where=where,
            hint="move it away once you know by a block explorer that none of this key is pending",
        )
    return {out.id: out for out in read}


def _content(held: dict[bytes, Outgoing]) -> bytes:
    body = {"version": _VERSION, "transactions": [_plain(out) for out in held.values()]}
    return json.dumps(body).encode()


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
