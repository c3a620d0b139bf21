# SPDX-License-Identifier: Apache-2.0
"""Who gets which answer, and how many questions one address may have in the works."""

from types import SimpleNamespace

import dns.message
import dns.rcode
import pytest
import trio
import trio.testing

from tests.provider.names.conftest import API, INSIDE, LABEL, NAMESPACE
from trustedpods.provider.names.own_pods import OwnPods
from trustedpods.provider.names.resolver import MAX_AT_ONCE, MAX_OF_ONE, PodResolver

POD = "10.9.17.2"


class Replicas:
    """Who has which address; an address that nobody has yet is waited for."""

    def __init__(self):
        self.known = {POD: SimpleNamespace(namespace=NAMESPACE, label=LABEL)}
        self.changed = trio.Event()

    async def find(self, address):
        while address not in self.known:
            await self.changed.wait()
        return self.known[address]


async def ask(resolver, name, kind="A", address=POD):
    data = await resolver.reply(dns.message.make_query(name, kind).to_wire(), address)
    answer = dns.message.from_wire(data)
    found = [record.to_text() for rrset in answer.answer for record in rrset]
    return dns.rcode.to_text(answer.rcode()), found


def resolver_of(world, replicas=None):
    return PodResolver(world.openings(), OwnPods(world.cluster), (replicas or Replicas()).find)


async def test_each_kind_of_answer(world):
    resolver = resolver_of(world)
    assert await ask(resolver, API) == ("NOERROR", ["203.0.113.7"])
    assert await ask(resolver, "API.Example.ORG") == ("NOERROR", ["203.0.113.7"])
    assert await ask(resolver, API, "AAAA") == ("NOERROR", [])
    assert await ask(resolver, INSIDE) == ("NXDOMAIN", [])
    assert await ask(resolver, "other.example") == ("NXDOMAIN", [])
    assert await ask(resolver, "other.example", "AAAA") == ("NXDOMAIN", [])
    world.cluster.unreachable = True
    assert await ask(resolver, API) == ("SERVFAIL", [])
    assert await resolver.reply(b"nonsense", POD) is None


async def test_an_address_that_is_nobodys_gets_nothing(world, virtual_time):
    assert await ask(resolver_of(world), API, address="10.9.17.9") == (
        "NXDOMAIN",
        [],
    )
    assert world.asked == []


async def test_a_pod_that_is_not_shown_yet_is_waited_for(world, nursery):
    replicas = Replicas()
    resolver, answers = resolver_of(world, replicas), []

    async def asks():
        answers.append(await ask(resolver, API, address="10.9.17.3"))

    nursery.start_soon(asks)
    await trio.testing.wait_all_tasks_blocked()
    assert not answers
    replicas.known["10.9.17.3"] = replicas.known[POD]
    replicas.changed.set()
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert answers == [("NOERROR", ["203.0.113.7"])]


@pytest.mark.parametrize(("addresses", "most"), [(1, MAX_OF_ONE), (1000, MAX_AT_ONCE)])
async def test_too_many_questions_at_once_are_not_heard(addresses, most, nursery):
    held, release = [], trio.Event()

    async def find(address):
        held.append(address)
        await release.wait()
        return SimpleNamespace(namespace=NAMESPACE, label=LABEL)

    class Nobody:
        async def allowed(self, *_):
            return False

    resolver = PodResolver(Nobody(), Nobody(), find)
    question = dns.message.make_query(API, "AAAA").to_wire()
    for number in range(most + 5):
        nursery.start_soon(resolver.reply, question, f"10.9.{number % addresses}.1")
    await trio.testing.wait_all_tasks_blocked()
    assert len(held) == most
    release.set()
    await trio.testing.wait_all_tasks_blocked()
    assert await resolver.reply(question, "10.9.0.1") is not None, "who has answered is free again"
