# SPDX-License-Identifier: Apache-2.0
"""Questions to the upstream, against a small server on loopback: aliases, times, and what no answer means."""

from typing import ClassVar

import dns.message
import dns.rcode
import dns.rrset
import pytest
import trio

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.dns.upstream import HostAddresses, Upstream


class Zone:
    """Answers each question over UDP with the records of its name; silent for names that it does not know."""

    records: ClassVar = {
        "plain.example.": [("plain.example.", 40, "A", ["203.0.113.7", "203.0.113.8"])],
        "alias.example.": [
            ("alias.example.", 90, "CNAME", ["far.example."]),
            ("far.example.", 20, "CNAME", ["plain.example."]),
            ("plain.example.", 40, "A", ["203.0.113.7"]),
        ],
        "empty.example.": [],
        "none.example.": None,
        "loop.example.": [
            ("loop.example.", 5, "CNAME", ["back.example."]),
            ("back.example.", 5, "CNAME", ["loop.example."]),
        ],
    }

    def __init__(self):
        self.ids = []
        self.ports = set()

    async def serve(self, *, task_status=trio.TASK_STATUS_IGNORED):
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
            await sock.bind(("127.0.0.1", 0))
            task_status.started(f"127.0.0.1:{sock.getsockname()[1]}")
            while True:
                data, sender = await sock.recvfrom(4096)
                asked = dns.message.from_wire(data)
                self.ids.append(asked.id)
                self.ports.add(sender[1])
                name = asked.question[0].name.to_text().lower()
                if name in self.records:
                    await sock.sendto(self.answer(asked, self.records[name]), sender)

    @staticmethod
    def answer(asked, records):
        made = dns.message.make_response(asked, recursion_available=True)
        if records is None:
            made.set_rcode(dns.rcode.NXDOMAIN)
        for name, ttl, kind, texts in records or ():
            made.answer.append(dns.rrset.from_text(name, ttl, "IN", kind, *texts))
        return made.to_wire()


@pytest.fixture
def zone():
    return Zone()


async def test_addresses_come_with_the_least_time_on_the_way(zone, nursery):
    door = Upstream([await nursery.start(zone.serve)])
    plain = await door.addresses("plain.example")
    assert (set(plain.addresses), plain.ttl_s) == ({"203.0.113.7", "203.0.113.8"}, 40)
    assert await door.addresses("alias.example") == HostAddresses(("203.0.113.7",), 20)


async def test_no_name_and_no_address_are_answers(zone, nursery):
    door = Upstream([await nursery.start(zone.serve)])
    assert (await door.addresses("none.example")).addresses == ()
    assert (await door.addresses("empty.example")).addresses == ()


@pytest.mark.parametrize("host", ["silent.example", "loop.example"])
async def test_without_an_answer_nothing_is_known(zone, nursery, host):
    with pytest.raises(NetworkFailure, match="DNS does not say"):
        await Upstream([await nursery.start(zone.serve)], 0.3).addresses(host)


async def test_ids_and_ports_are_not_to_be_guessed(zone, nursery):
    door = Upstream([await nursery.start(zone.serve)])
    for _ in range(16):
        await door.addresses("plain.example")
    assert len(zone.ports) > 8
    assert len(set(zone.ids)) > 8
    assert len({after - before for before, after in zip(zone.ids, zone.ids[1:], strict=False)}) > 8
