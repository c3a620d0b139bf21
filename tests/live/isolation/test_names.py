# SPDX-License-Identifier: Apache-2.0
"""Hosts by name: what a pod may ask for, what an answer opens, and when that is shut again."""

import contextlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

from tests.live.clients import daemons, name_server, outside, probing
from tests.live.clients.name_server import Zone
from tests.live.clients.probing import Knock
from tests.live.clients.publisher import Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import replicas
from tests.live.observers.waiting import until
from trustedpods.localnet.folders import replace_file
from trustedpods.localnet.toml_text import toml_text

pytestmark = pytest.mark.live

PORT, OTHER_PORT = 7443, 7444
API, MOVED, INSIDE, UNASKED = "api.test.example", "moved.test.example", "inside.test.example", "other.example"

ANSWERED_WITHIN_S = 2.0
"""For the first answer, with its policy in the kernel. A C library asks again after five."""


@dataclass(frozen=True)
class Caller:
    """A pod that calls by name: its network namespace, its resolver, and the zone that it asks through."""

    market: LiveLocalnet
    place: Path
    resolver: str
    zone: Zone

    def ask(self, name: str) -> tuple[str, list[str]]:
        return name_server.ask(self.place, self.resolver, name)

    def reaches(self, address: str, port: int = PORT) -> bool:
        return Knock(self.place, address, port).reaches()


@pytest.fixture(scope="module")
def caller(market: LiveLocalnet, publisher: Publisher) -> Iterator[Caller]:
    zone = Zone(
        {
            API: [outside.SERVER],
            MOVED: [outside.FORBIDDEN],
            INSIDE: [market.cluster().node_ip],
            UNASKED: [outside.SERVER],
        }
    )
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(outside.world(market))
        stack.enter_context(name_server.serving(zone, world, outside.SERVER))
        for port in (PORT, OTHER_PORT):
            stack.enter_context(probing.echo(world, "0.0.0.0", port))
        stack.enter_context(probing.echo(probing.node(market), market.cluster().node_ip, PORT))
        stack.enter_context(_upstream(market, outside.SERVER))
        deployed = publisher.deploy(publisher.manifest("hello", unique("caller"), _calls_hosts))
        (pod,) = until("one replica", lambda: replicas(market, deployed.namespace))
        place = probing.of_pod(market, str(pod["status"]["podIP"]))
        (resolver,) = pod["spec"]["dnsConfig"]["nameservers"]
        yield Caller(market, place, resolver, zone)


def _calls_hosts(spec: Json) -> None:
    spec["scale"] = {"min": 1, "max": 1}
    hosts = [{"host": name} for name in (API, MOVED, INSIDE)]
    spec["network"] = {"egress": [{"to": hosts, "ports": [{"port": PORT}]}]}


@contextlib.contextmanager
def _upstream(market: LiveLocalnet, address: str) -> Iterator[None]:
    """The provider asks a resolver of the test's while the block runs."""
    config = market.cluster().path("provider.toml")
    ours = config.read_bytes()
    settings = tomllib.loads(ours.decode())
    settings["names"]["upstream"] = [address]
    replace_file(config, toml_text(settings).encode(), 0o600)
    try:
        daemons.restart(market)
        yield
    finally:
        replace_file(config, ours, 0o600)
        daemons.restart(market)


def test_an_allowed_host_opens_with_its_answer_and_nothing_else_does(caller: Caller) -> None:
    assert not caller.reaches(outside.SERVER), "shut before anybody asked"
    began = monotonic()
    assert caller.ask(API) == ("NOERROR", [outside.SERVER])
    took = monotonic() - began
    assert caller.reaches(outside.SERVER), "the rule stands when the answer comes"
    assert took < ANSWERED_WITHIN_S
    assert not caller.reaches(outside.SERVER, OTHER_PORT), "only the ports that were asked for"
    assert not caller.reaches(outside.FORBIDDEN)


def test_a_host_that_was_not_asked_for_is_unknown_at_once(caller: Caller) -> None:
    began = monotonic()
    assert caller.ask(UNASKED) == ("NXDOMAIN", [])
    assert monotonic() - began < 1
    assert UNASKED not in caller.zone.asked, "nobody outside hears of it"


CALLS_AND_SERVES = (
    "for _ in 1 2 3 4 5 6 7 8 9 10; do read began _ < /proc/uptime; "
    "wget -q -T 30 -O /dev/null http://api.test.example/; "
    "read ended _ < /proc/uptime; echo asked $began $ended; done; exec /bin/serve"
)
"""Before it serves it calls a host, as a program does that looks for news when it starts. Ten times, as some
may fall on moments in which the machine does something else; who waits for an answer waits each time."""


def test_a_pod_that_may_call_nobody_starts_within_a_second(publisher: Publisher) -> None:
    """What it calls first does not hold it up: it learns at once that there is no such host."""

    def change(spec: Json) -> None:
        spec["containers"][0]["command"] = ["sh", "-c", CALLS_AND_SERVES]
        spec["scale"] = {"min": 1, "max": 1}

    pod = publisher.deploy(publisher.manifest("hello", unique("closed"), change))
    [log] = publisher.run("logs", pod.name).json["logs"]
    asked = [line.split()[1:] for line in log["text"].splitlines() if line.startswith("asked ")]
    took = [float(ended) - float(began) for began, ended in asked]
    assert len(took) == 10
    assert min(took) < 1


def test_an_answer_in_a_closed_network_stays_shut(caller: Caller) -> None:
    assert caller.ask(INSIDE) == ("NXDOMAIN", [])
    assert INSIDE in caller.zone.asked
    assert not caller.reaches(caller.market.cluster().node_ip)


def test_addresses_live_as_long_as_their_name_keeps_them(caller: Caller) -> None:
    """Over a restart of the daemon; then the name moves, and the old address is shut."""
    assert caller.ask(MOVED) == ("NOERROR", [outside.FORBIDDEN])
    assert caller.reaches(outside.FORBIDDEN)
    before = len(caller.zone.asked)
    daemons.restart(caller.market)
    assert caller.reaches(outside.FORBIDDEN), "a daemon that comes back shuts nothing"
    until("the name is asked for again", lambda: MOVED in caller.zone.asked[before:])
    assert caller.reaches(outside.FORBIDDEN), "a running pod's names are renewed"
    caller.zone.addresses[MOVED] = [outside.SERVER]
    until("the old address is shut", lambda: not caller.reaches(outside.FORBIDDEN))
    assert caller.ask(MOVED) == ("NOERROR", [outside.SERVER])
