# SPDX-License-Identifier: Apache-2.0
"""A name server of a test's own, in any network namespace, and questions asked from inside one."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from trustedpods.localnet.network import entered

ASK_LIMIT_S = 20.0
"""For one answer, over all repetitions."""


@dataclass
class Zone:
    """Which addresses each name has now, and for how many seconds. *asked* are the names that came."""

    addresses: dict[str, list[str]]
    ttl_s: int = 1
    silent: bool = False
    asked: list[str] = field(default_factory=list)

    def answer(self, data: bytes) -> bytes | None:
        """What is sent back."""
        question = dns.message.from_wire(data)
        name = question.question[0].name
        text = name.to_text(omit_final_dot=True).lower()
        self.asked.append(text)
        if self.silent:
            return None
        made = dns.message.make_response(question, recursion_available=True)
        if text not in self.addresses:
            made.set_rcode(dns.rcode.NXDOMAIN)
        elif question.question[0].rdtype == dns.rdatatype.A:
            made.answer.append(dns.rrset.from_text(name, self.ttl_s, "IN", "A", *self.addresses[text]))
        return made.to_wire()


@contextlib.contextmanager
def serving(zone: Zone, namespace: Path, address: str) -> Iterator[None]:
    """The zone is served at *address*, port 53, UDP."""
    with entered(namespace):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, 53))
    thread = threading.Thread(target=_serve, args=(zone, made), daemon=True)
    thread.start()
    with made:
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # never connected; it is shut down all the same
                made.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def _serve(zone: Zone, made: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            data, peer = made.recvfrom(4096)
            if not data:
                return
            answer = zone.answer(data)
            if answer is not None:
                made.sendto(answer, peer)


def ask(namespace: Path, server: str, name: str) -> tuple[str, list[str]]:
    """What *server* answers to whoever sits in *namespace*: the code's name, and the addresses."""
    question = dns.message.make_query(name, "A")
    with entered(namespace):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with made:
        made.settimeout(ASK_LIMIT_S)
        made.sendto(question.to_wire(), (server, 53))
        answer = dns.message.from_wire(made.recv(4096))
    assert answer.id == question.id
    found = [record.to_text() for rrset in answer.answer for record in rrset]
    return dns.rcode.to_text(answer.rcode()), found
