# SPDX-License-Identifier: Apache-2.0
"""Proof of control over a host, against a small authoritative server on loopback."""

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
import trio

from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.provider.dns.control import Resolver, publisher_proof

PUBLISHER = bytes(range(20))


class Zone:
    """Answers TXT questions over UDP from a table; says nothing at all while `silent`."""

    def __init__(self, records: dict[str, list[str]]) -> None:
        self.records = records
        self.silent = False
        self.port = 0

    async def serve(self, *, task_status=trio.TASK_STATUS_IGNORED) -> None:
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
            await sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
            task_status.started()
            while True:
                question, sender = await sock.recvfrom(4096)
                if not self.silent:
                    await sock.sendto(self._answer(question), sender)

    def _answer(self, wire: bytes) -> bytes:
        asked = dns.message.from_wire(wire)
        answer = dns.message.make_response(asked)
        answer.flags |= dns.flags.AA
        name = asked.question[0].name
        texts = self.records.get(name.to_text(omit_final_dot=True).lower())
        if texts is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            quoted = [f'"{text}"' for text in texts]
            answer.answer.append(dns.rrset.from_text(name, 5, "IN", "TXT", *quoted))
        return answer.to_wire()


@pytest.fixture
async def zone(nursery):
    made = Zone({"_trustedpods.www.example.org": ["something else", "pabc"]})
    await nursery.start(made.serve)
    return made


async def test_a_record_with_the_label_or_the_publisher_proves_control(zone):
    resolver = Resolver([f"127.0.0.1:{zone.port}"])
    await resolver.check_control("www.example.org", ["pabc", publisher_proof(PUBLISHER)])
    zone.records["_trustedpods.all.example.org"] = [publisher_proof(PUBLISHER)]
    await resolver.check_control("all.example.org", ["pxyz", publisher_proof(PUBLISHER)])


async def test_without_it_the_host_is_refused_and_the_record_is_named(zone):
    resolver = Resolver([f"127.0.0.1:{zone.port}"])
    for host in ("www.example.org", "missing.example.org"):
        with pytest.raises(Refused) as refused:
            await resolver.check_control(host, ["pother"])
        assert refused.value.rule == "hosts"
        assert f"_trustedpods.{host} says pother" in str(refused.value)


async def test_no_answer_is_no_proof_and_no_disproof(zone):
    zone.silent = True
    with pytest.raises(NetworkFailure):
        await Resolver([f"127.0.0.1:{zone.port}"], 0.3).check_control("www.example.org", ["pabc"])


def test_the_publishers_proof_is_frozen_and_hides_the_address():
    assert publisher_proof(PUBLISHER) == "publisher-" + publisher_proof(PUBLISHER)[10:]
    assert len(publisher_proof(PUBLISHER)) == 42
    assert PUBLISHER.hex() not in publisher_proof(PUBLISHER)
