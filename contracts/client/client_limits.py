# SPDX-License-Identifier: Apache-2.0
"""How long a client of a chain waits, and how much it reads, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """The bounds of one client. Seconds and bytes."""

    request_s: float = 15.0
    """For one answer of a node."""

    reads_at_once: int = 8
    """A node that hangs takes no more threads than these from the process; other reads wait in line."""

    writes_at_once: int = 4
    """Keys that sign and hand in at once; each key does so one after another."""

    answer_bytes: int = 16 * 1024 * 1024
    """A page of 2,500 rows is 1.4 MB, a block of logs a few; nothing larger is read, let alone parsed."""

    head_kept_s: float = 0.2
    """The newest block that several nodes share is asked for once by reads that come together; a block takes
    seconds."""

    read_pauses_s: tuple[float, ...] = (0.1, 0.4)
    """A dropped connection or a rate limit is no answer: a read is asked again before it fails."""

    resend_every_s: float = 5.0
    """A node forgets transactions when it restarts: so often the same bytes are handed in again."""

    stuck_after_s: float = 30.0
    """Over two Ethereum blocks: what is first in line and still not mined then is paid too little."""

    gone_after_s: float = 10.0
    """How long a nonce must be seen used by another transaction before it is believed: behind one
    address may be nodes that lag behind each other."""

    mind_every_s: float = 2.0
    """How often a waiting call looks after what is in line before its own and has nobody else."""

    last_poll_s: float = 0.5
    """Between two looks at a transaction, once it was looked at some times."""

    watched_at_full_pace: int = 8
    """Of one key's transactions; where more are under way each is looked at less often, and the node is asked
    no more often for all of them together."""

    journal_bytes: int = 16 * 1024 * 1024
    """For one transaction, or the list of all: a claim of 100 channels is 20 KB in hex."""

    lock_s: float = 60.0
    """The lock is held while one transaction is signed and handed in: some requests of 15 s at most. Where a
    person signs it may be minutes: who comes meanwhile is told so, and comes again."""


USUAL = ClientLimits()
"""What everybody has who hands in none of his own."""
