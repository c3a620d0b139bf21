# SPDX-License-Identifier: Apache-2.0
"""A key's unfinished transactions: in memory, and in a journal if there is one.

They are written (and on the disk) before anything is sent, so that a process which is killed at any moment
finds its transactions again. Each is a piece of its own beside a list of all: what it takes to write one down
does not grow with how many are under way.
"""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from trustedpods.contracts.client.client_limits import USUAL, ClientLimits
from trustedpods.contracts.client.transactions.journals import TransactionJournal
from trustedpods.contracts.client.transactions.pending_transactions import Call, Fees, Form, Outgoing
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import Address

_WHOLE, _LIST = 1, 2
"""Forms of the list: with the transactions in it, as older versions wrote it, and with their names alone."""

_NAMED_BY = 16
"""Bytes of a transaction's id that name its piece: the books take names of 120 characters."""

FormsWritten = dict[bytes, int]
"""How many forms of each transaction are written down, by `Outgoing.id`."""


class Outbox:
    """Unfinished transactions of one key on one chain, by `Outgoing.id`.

    `turn` keeps the tasks of this process apart, the journal processes; `permits` those that
    sign permits. `attended` are the ids that a task of this process waits for, `resumed` those that one
    brings to their end, and of which another may still come for the outcome; `latest` is what was last
    seen of each, which is not kept. All three belong to trio's thread.
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
        self.resumed: set[bytes] = set()
        self.latest: dict[bytes, Outgoing] = {}
        self._held: dict[bytes, Outgoing] = {}
        self._written: FormsWritten = {}
        self._read: dict[bytes, Outgoing] = {}
        self._tidied = False

    @property
    def watched(self) -> frozenset[bytes]:
        """Those that a task of this process looks at."""
        return frozenset(self.attended | self.resumed)

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
            self._held = self._load(self._journal)
            yield self._held

    def save(self) -> None:
        """Make the present state last; only inside `exclusive`.

        What the list names is there before the list: a kill in between leaves a piece that nobody asks for.
        """
        if self._journal is None:
            return
        written = {out.id: len(out.forms) for out in self._held.values()}
        pieces: dict[str, bytes | None] = {}
        for out in self._held.values():
            if self._written.get(out.id) != len(out.forms):
                pieces[self._piece(out.id)] = json.dumps(_plain(out)).encode()
        pieces[self._name] = _list_of(written)
        pieces |= {self._piece(gone): None for gone in self._written.keys() - written.keys()}
        self._journal.write(pieces)
        self._written, self._read = written, dict(self._held)

    def _load(self, journal: TransactionJournal) -> dict[bytes, Outgoing]:
        """What is written down; pieces that this box wrote or read are known."""
        raw = journal.read(self._name, self._limits.journal_bytes)
        with self._damage(journal, self._name):
            empty: dict[str, Any] = {"version": _LIST, "transactions": []}
            data = empty if raw is None else self._parsed(raw)
            if data["version"] == _WHOLE:
                whole = {out.id: out for out in map(_outgoing, data["transactions"])}
                self._tidy(journal, ())
                self._written = {}
                return whole
            listed = {bytes.fromhex(name): int(forms) for name, forms in data["transactions"]}
            if data["version"] != _LIST:
                raise ValueError
        self._read = {out.id: out for out in self._each(journal, listed)}
        self._tidy(journal, listed)
        self._written = {out.id: len(out.forms) for out in self._read.values()}
        return dict(self._read)

    def _tidy(self, journal: TransactionJournal, listed: Collection[bytes]) -> None:
        """Once a process: take away what a kill left, pieces that were never listed or are no longer."""
        if not self._tidied:
            kept = {self._piece(name) for name in listed}
            strays = [name for name in journal.names(self._name + "-") if name not in kept]
            if strays:
                journal.write(dict.fromkeys(strays))
            self._tidied = True

    def _each(self, journal: TransactionJournal, listed: FormsWritten) -> Iterator[Outgoing]:
        """Every transaction of the list. Each has a piece, which was there before it was listed."""
        for name, forms in listed.items():
            known = self._read.get(name)
            if known is not None and len(known.forms) == forms:
                yield known
                continue
            raw = journal.read(self._piece(name), self._limits.journal_bytes)
            with self._damage(journal, self._piece(name)):
                if raw is None:
                    raise ValueError
                out = _outgoing(self._parsed(raw))
            yield out

    def _piece(self, name: bytes) -> str:
        return f"{self._name}-{name.hex()[: 2 * _NAMED_BY]}"

    def _parsed(self, raw: bytes) -> dict[str, Any]:
        data = json.loads(raw) if len(raw) <= self._limits.journal_bytes else None
        if not isinstance(data, dict):
            raise TypeError
        return data

    @contextmanager
    def _damage(self, journal: TransactionJournal, piece: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BadInput(
                "this is not a file of unfinished transactions",
                where=journal.where(piece),
                hint="move it away once you know by a block explorer that none of this key is pending",
            ) from None


def _list_of(written: FormsWritten) -> bytes:
    """An empty list is one that older versions read too."""
    names = [[name.hex(), forms] for name, forms in written.items()]
    return json.dumps({"version": _LIST if names else _WHOLE, "transactions": names}).encode()


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
