# SPDX-License-Identifier: Apache-2.0
"""A tiny DNS server: every name is 127.0.0.1, TXT records come by signed updates over TCP (RFC 2136)."""

import struct
from dataclasses import dataclass, field
from functools import partial

import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update
import trio

from trustedpods.provider.dns.updates import UpdateKey

KEY = UpdateKey("acme-key", "hmac-sha256", b"0123456789abcdef0123456789abcdef")


@dataclass
class Zone:
    """Records by name; `refuses` answers updates with REFUSED."""

    port: int
    texts: dict[str, set[str]] = field(default_factory=dict)
    updates: int = 0
    refuses: bool = False

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def run(self, *, task_status=trio.TASK_STATUS_IGNORED) -> None:
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as questions:
            await questions.bind(("127.0.0.1", self.port))
            await self._both(questions, task_status)

    async def _both(self, questions: trio.socket.SocketType, task_status) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(trio.serve_tcp, host="127.0.0.1"), self._stream, self.port)
            nursery.start_soon(self._datagrams, questions)
            task_status.started()

    async def _datagrams(self, questions: trio.socket.SocketType) -> None:
        while True:
            wire, sender = await questions.recvfrom(4096)
            await questions.sendto(self._answer(wire), sender)

    async def _stream(self, stream: trio.SocketStream) -> None:
        wire = b""
        while len(wire) < 2 or len(wire) < 2 + struct.unpack("!H", wire[:2])[0]:
            data = await stream.receive_some(4096)
            if not data:
                return
            wire += data
        answer = self._answer(wire[2:])
        await stream.send_all(struct.pack("!H", len(answer)) + answer)

    def _answer(self, wire: bytes) -> bytes:
        keyring = {dns.name.from_text(KEY.name): dns.tsig.Key(KEY.name, KEY.secret, KEY.algorithm)}
        try:
            asked = dns.message.from_wire(wire, keyring=keyring)
        except (dns.tsig.PeerError, dns.tsig.BadSignature, dns.message.UnknownTSIGKey):
            asked = dns.message.from_wire(wire, keyring=False)
            answer = dns.message.make_response(asked)
            answer.set_rcode(dns.rcode.NOTAUTH)
            return answer.to_wire()
        answer = dns.message.make_response(asked)
        if asked.opcode() == dns.opcode.UPDATE:
            answer.set_rcode(self._update(asked))
        else:
            self._look_up(asked, answer)
        return answer.to_wire()

    def _update(self, asked: dns.message.Message) -> dns.rcode.Rcode:
        if not asked.had_tsig or self.refuses:
            return dns.rcode.REFUSED
        self.updates += 1
        for one in asked.sections[2]:
            name = one.name.to_text().lower()
            found = {b"".join(record.strings).decode() for record in one}
            if one.deleting == dns.rdataclass.NONE:
                self.texts.setdefault(name, set()).difference_update(found)
            else:
                self.texts.setdefault(name, set()).update(found)
        return dns.rcode.NOERROR

    def _look_up(self, asked: dns.message.Message, answer: dns.message.Message) -> None:
        question = asked.question[0]
        name, kind = question.name, question.rdtype
        if kind == dns.rdatatype.TXT:
            for text in self.texts.get(name.to_text().lower(), set()):
                answer.answer.append(dns.rrset.from_text(name, 1, "IN", "TXT", f'"{text}"'))
        elif kind == dns.rdatatype.A:
            answer.answer.append(dns.rrset.from_text(name, 1, "IN", "A", "127.0.0.1"))
