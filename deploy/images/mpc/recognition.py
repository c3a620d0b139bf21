# SPDX-License-Identifier: Apache-2.0
"""Whether other nodes know this one by its certificate. One that is known to none cannot sign, and says so.

A node that does not answer says nothing about anybody: only who answers and refuses counts.
"""

import asyncio
import json
import ssl
from collections.abc import Collection
from enum import Enum
from time import monotonic

from connections import LINE_S, PeerTls

GREET_S = 15.0
"""Between two rounds of greetings: each is a handshake with every node, and traffic is paid for."""

REFUSED_S = 120.0
"""Refused for so long by whoever answers, a node is not ready. Files of a secret come to a pod within a
minute and a half of a change: while owners link their nodes, none is told to be a stranger."""


class Greeting(Enum):
    """How another node took this one's call."""

    KNOWN = "known"
    REFUSED = "refused"
    ABSENT = "absent"


class Recognition:
    """What the other nodes said last."""

    def __init__(self, own: int, peers: dict[int, tuple[str, int]], tls: PeerTls) -> None:
        self._own, self._peers, self._tls = own, peers, tls
        self._taken_s = monotonic()

    def refused(self, now_s: float) -> bool:
        """Whether all who answer have refused this node for a while, by the monotonic clock."""
        return now_s - self._taken_s > REFUSED_S

    def note(self, said: Collection[Greeting], now_s: float) -> None:
        """What the others answered in one round."""
        if Greeting.KNOWN in said or Greeting.REFUSED not in said:
            self._taken_s = now_s

    async def keep_asking(self) -> None:
        """Greet all nodes again and again; it is cancelled from outside."""
        while True:
            said = await asyncio.gather(*(self.greet(*peer) for peer in self._peers.values()))
            self.note(said, monotonic())
            await asyncio.sleep(GREET_S)

    async def greet(self, host: str, port: int) -> Greeting:
        """Call a node, and see whether both sides take the other's certificate."""
        try:
            context = self._tls.context(serving=False)
        except OSError:  # no certificate yet, or linked to nobody
            return Greeting.ABSENT
        try:
            return await asyncio.wait_for(self._called(context, host, port), LINE_S)
        except (OSError, TimeoutError, UnicodeError):  # the last of a name that is none
            return Greeting.ABSENT

    async def _called(self, context: ssl.SSLContext, host: str, port: int) -> Greeting:
        """Ask for a session that is nobody's. Whoever takes the certificate answers with a word.

        By TLS 1.3 the own side is done before the other one looks at the certificate, and an end is all
        that an asyncio server shows of a refusal: it drops the connection with the alert unsent.
        """
        try:
            reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
        except ssl.SSLCertVerificationError:
            return Greeting.REFUSED
        try:
            writer.write(json.dumps({"session": "", "node": self._own}).encode() + b"\n")
            # A byte is enough: a line that never ends would be an error, and nobody would be greeted again.
            return Greeting.KNOWN if await reader.read(1) else Greeting.REFUSED
        except OSError:
            return Greeting.REFUSED
        finally:
            writer.close()
