# SPDX-License-Identifier: Apache-2.0
"""Leases of networks over two real clusters: processes killed, stopped, or before a silent API server."""

import base64
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from tests.live.clients import daemons
from tests.live.clients.publisher import finish
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.networks.by_hand import ByHand
from tests.live.networks.calling_nodes import OTHER, CallingNodes
from tests.live.networks.daemon_without_market import DaemonWithoutMarket
from tests.live.networks.people import PROCESS_LIMIT_S, SYSTEM, Applied, People, name, said, tell, turns
from tests.live.observers.waiting import until
from trustedpods.protocol.networks.leases import LEASE_MS
from trustedpods.protocol.networks.migrations import SCHEMA
from trustedpods.provider.networks import stored

pytestmark = pytest.mark.live

LEASE_S = LEASE_MS / 1000
LATE_S = 5.0
"""How much later than its end a dead holder's lease may be somebody else's."""


@pytest.fixture(scope="module")
def people(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    made = People(pair, tmp_path_factory.mktemp("people"))
    yield made
    made.close()


@pytest.fixture
def others(pair: LiveLocalnet, tmp_path: Path) -> Iterator[People]:
    """People of another key: one may found eight networks in a cluster."""
    made = People(pair, tmp_path)
    yield made
    made.close()


def in_both_orders(people: People, count: int, hold_s: float) -> float:
    """Run *count* commands side by side; the seconds from the first start to the last end."""
    network, began = name(), monotonic()
    orders = ("k1,k2", "k2,k1")
    processes = [people.start(network, orders[number % 2], hold_s) for number in range(count)]
    written = sorted(said(process) for process in processes)
    assert written == sorted(f"written {number}" for number in range(1, count + 1))
    took = monotonic() - began
    order = sorted(turns(people.log(network)), key=lambda turn: turn[1])
    expected = [entry for number in range(count) for entry in (("held", number), ("done", number + 1))]
    assert [(what, generation) for what, _, generation in order] == expected, "never two at a time"
    copies = people.verb("state", "compare", network=network)
    assert copies["difference"] == ""
    assert {one["generation"] for one in copies["clusters"].values()} == {count}
    return took


def test_processes_in_both_orders_take_turns(people: People) -> None:
    in_both_orders(people, 4, 0.2)


@pytest.mark.soak
def test_twenty_processes_of_a_second_each(others: People) -> None:
    assert in_both_orders(others, 20, 1.0) <= 60


def test_what_people_see_of_a_lease_and_how_they_break_it(people: People) -> None:
    network = name()
    holder = people.held(network)
    status = people.verb("lock", "status", network=network)
    held_by = [one["holder"] for one in status["clusters"].values()]
    assert {one["who"] for one in held_by} == {people.person.address}
    assert {one["command"] for one in held_by} == {"a test"}
    refused = people.verb("state", "repair", "--from", "k1", network=network, code=5)
    assert "retry after 1 min" in str(refused["error"])
    objects, _ = people.secret(network, 1)
    fields = ".spec.holderIdentity} {.spec.leaseDurationSeconds} {.spec.leaseTransitions"
    lease = ("-n", SYSTEM, "get", "lease", objects, "--ignore-not-found", "-o", f"jsonpath={{{fields}}}")
    told = str(until("there is a Lease", lambda: people.pair.kubectl(*lease))).split()
    assert (told[0], *told[-2:]) == (people.person.address, "20", "1")
    broken = people.verb("lock", "break", "--reason", "a lake", network=network)
    assert broken["broken"] == dict.fromkeys(("k1", "k2"), people.person.address)
    tell(holder)
    assert said(holder) == "refused lease-lost"
    after = people.verb("lock", "status", network=network)
    records = [one["broken"][0]["reason"] for one in after["clusters"].values()]
    assert records == ["a lake", "a lake"]
    until("there is no Lease", lambda: people.pair.kubectl(*lease) == "")


def test_history_rebuilds_a_network_on_empty_clusters_and_a_backup_brings_it_back(people: People) -> None:
    """What the documents hold is taken away twice: by an owner's removal, which leaves no object behind."""
    network = name()
    clusters = [part for one in people.named for part in ("--cluster", one)]
    run, file = people.person.run, people.folder / f"{network}.backup"
    people.verb("network", "connect", network=network)
    assert run("state", "backup", network, str(file), *clusters).json["generation"] == 1
    assert people.verb("state", "migrate", network=network)["migrations"] == []
    (begun,) = people.verb("history", network=network)["commands"]
    assert (begun["verb"], begun["by"], begun["result"]) == ("network connect", people.person.address, "done")
    script = finish(people.person.start("history", network, "--as-script", *clusters), 0).out

    def objects() -> str:
        kinds, found = ("get", "secrets,leases", "-o", "name"), ""
        for index in (1, 2):
            found += people.pair.kubectl("-n", SYSTEM, *kinds, index=index)
        return found

    assert f"/network-{network}-" in objects()
    for again in ("script", "backup"):
        people.verb("network", "delete", network=network)
        until("no cluster keeps anything of it", lambda: f"/network-{network}-" not in objects())
        if again == "script":
            people.run_script(script)
            assert people.verb("history", network=network)["commands"][0]["verb"] == "network connect"
        else:
            assert run("state", "restore", network, str(file), *clusters).json["generation"] == 1
            told = [one["verb"] for one in people.verb("history", network=network)["commands"]]
            assert told == ["network connect", "state restore"]
    people.verb("network", "delete", network=network)  # a person may found eight in a cluster


def test_one_that_is_killed_and_one_that_is_stopped_delay_the_next_by_a_lease(people: People) -> None:
    """Both at once, on networks of their own. The one that was stopped finds its write refused."""
    killed, stopped = name(), name()
    victim, sleeper = people.held(killed), people.held(stopped)
    victim.kill()
    sleeper.send_signal(signal.SIGSTOP)
    began = monotonic()
    following = {network: people.start(network) for network in (killed, stopped)}
    for network, process in following.items():
        assert said(process) == "written 1"
        granted = [at for what, at, _ in turns(people.log(network)) if what == "held"][-1]
        assert granted - began <= LEASE_S + LATE_S
    sleeper.send_signal(signal.SIGCONT)
    tell(sleeper)
    assert said(sleeper) == "refused lease-lost"
    copies = people.verb("state", "compare", network=stopped)
    assert {one["generation"] for one in copies["clusters"].values()} == {1}


def test_what_ends_a_command_and_what_the_next_one_waits_for(others: People) -> None:
    """Ctrl-C lets everything go; a terminal that is closed costs a lease, as a kill does."""
    renewed_s = LEASE_S / 2  # a grant that stays has more than this left
    for sent, limit_s in ((signal.SIGINT, renewed_s), (signal.SIGHUP, LEASE_S + LATE_S)):
        network = name()
        holder = others.start(network, "k1,k2", PROCESS_LIMIT_S)
        until("it holds, and has written", lambda network=network: others.generation(network) == 1)
        following = others.start(network)
        until("the next is in the line", lambda network=network: others.in_line(network))
        began = monotonic()
        holder.send_signal(sent)
        assert said(following) == "written 2"
        granted = [at for what, at, _ in turns(others.log(network)) if what == "held"][-1]
        assert granted - began <= limit_s


def test_what_is_written_by_hand_or_by_an_older_version(people: People) -> None:
    """No client's rules are in the way here: the daemons refuse alone."""
    hand = ByHand(people, name())
    assert hand.writes_without_a_lease() == {"k1": "NotHeld", "k2": "NotHeld"}
    assert hand.write_as_older() == ""
    assert hand.writes_with_an_old_number() == {"k1": "NotHeld", "k2": "NotHeld"}
    steps = people.verb("state", "migrate", network=hand.name)["migrations"]
    assert [step.partition(":")[0] for step in steps] == [
        f"schema {number}" for number in range(4, SCHEMA + 1)
    ]
    lost = ("network", "lost", hand.name, "k2", "--reason", "a lake", "--cluster", people.named[0])
    assert people.person.run(*lost, code=6).json["error"]["rule"] == "schema", "read, and not written"
    file = people.folder / f"{hand.name}.backup"
    migrated = people.verb("state", "migrate", "--backup", str(file), network=hand.name)
    assert (migrated["generation"], file.exists()) == (2, True)
    assert people.verb("state", "migrate", network=hand.name)["migrations"] == []
    assert hand.write_as_older() == "schema", "there is no way back"


def test_a_cluster_without_a_market_keeps_documents_and_is_reached_by_a_kubeconfig(people: People) -> None:
    with DaemonWithoutMarket(people, 2) as second:
        assert second.doctor() == {"keys": "ok", "tee": "ok", "cluster": "ok", "rights": "ok"}
        network, clusters = name(), [people.named[0], f"k2={second.called}"]
        second.publish()
        assert second.run("network", "connect", network, clusters=clusters)["begun"] is True
        forwarded = f"k2={second.forwarded('localnet')}"
        mapped = second.run("context", "map", "k2=kube:localnet", clusters=[])
        assert mapped["contexts"]["default"]["clusters"] == dict([forwarded.split("=")])
        told = second.run("history", network, clusters=[people.named[0], forwarded])
        assert [one["verb"] for one in told["commands"]] == ["network connect"], "both copies are the same"
        nowhere, refused = (
            finish(process, code).json["error"]
            for process, code in [
                (second.start("lock", "status", network, clusters=[f"k2={second.forwarded('nowhere')}"]), 4),
                (second.start("lock", "status", network, clusters=[forwarded], user="provider"), 6),
            ]
        )
        assert "no context 'nowhere'" in nowhere["what"]
        assert refused["rule"] == "kube-access"
        second.unpublish()
        gone = second.run("lock", "status", network, clusters=[forwarded], code=4)
        assert "no daemon is published" in gone["error"]["what"]


def test_an_api_server_that_is_silent_leaves_no_half_write(people: People) -> None:
    """The first copy has the document pending while the second's API server answers nothing; then it does."""
    network = name()
    holder = people.held(network)
    with daemons.silent(people.pair, "k2/apiserver"):
        tell(holder)

        def pending() -> bool:
            kept = stored.from_bytes(people.secret(network, 1)[1], LEASE_MS)
            return kept.copy.pending is not None and kept.copy.current.generation == 0

        until("the first copy has it pending, and it does not count", pending)
        other = name()
        people.verb("state", "repair", "--from", "k1", network=other, code=8)
        everything = ("-n", SYSTEM, "get", "secrets,leases", "-o", "name")
        until("nothing of it is left", lambda: other not in people.pair.kubectl(*everything))
    assert said(holder) in ("written 1", "refused unreachable", "refused lease-lost")
    assert said(people.start(network)).startswith("written ")
    copies = people.verb("state", "compare", network=network)
    assert copies["being_written"] is False
    assert copies["difference"] == ""


def _a_second_apply_is_told_and_waits(shop: Applied) -> None:
    holder = shop.people.held(shop.name)
    changed = str(shop.write("a k1", "b k2", bob="viewer"))
    refused = finish(shop.start(shop.alice, "apply", changed), 5).json
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"
    said_of = (
        rf"{shop.alice.address} at \S+ has the lease of network {shop.name} until {moment}, retry after 1 min"
    )
    assert re.search(said_of, str(refused["error"]))
    waiting = shop.start(shop.alice, "apply", changed, "--wait", "1m")
    until("the second is in the line", lambda: shop.people.in_line(shop.name))
    tell(holder)
    assert said(holder) == "refused members", "a document with a team of its own is nobody's next"
    assert finish(waiting, 0).json["changes"] == 1


def _an_edited_copy_stops_an_apply_until_it_is_repaired(shop: Applied) -> None:
    """Somebody puts an older backup of one cluster's Secret back, by kubectl."""
    objects, older = shop.people.secret(shop.name, 2)
    changed = str(shop.write("a k1", "b k2", bob="operator"))
    shop.run(shop.alice, "apply", changed)
    data = json.dumps({"data": {"network": base64.b64encode(older).decode()}})
    shop.people.pair.kubectl("-n", SYSTEM, "patch", "secret", objects, "--type=merge", "-p", data, index=2)
    before = shop.people.secret(shop.name, 1)[1]
    wanted = str(shop.write("a k1", "b k2", bob="viewer"))
    stopped = finish(shop.start(shop.alice, "apply", wanted), 3).json
    assert re.search(r"differ in their generation \(k1: \d+, k2: \d+\)", str(stopped["error"]))
    copies = [stored.from_bytes(one, LEASE_MS).copy for one in (before, shop.people.secret(shop.name, 1)[1])]
    assert copies[0] == copies[1]
    assert stored.from_bytes(shop.people.secret(shop.name, 2)[1], LEASE_MS).copy != copies[0]
    shop.people.verb("state", "repair", "--from", "k1", network=shop.name)
    assert shop.run(shop.alice, "apply", wanted)["changes"] == 1


def test_a_network_from_connect_to_delete(people: People) -> None:
    """Killed in the middle and gone on with; seen from another machine; refused to a viewer; gone."""
    shop = Applied(people)
    file = str(shop.file)
    assert shop.run(shop.alice, "connect", shop.name)["begun"] is True
    killed = shop.start(shop.alice, "apply", file)
    until("node a serves, and b is on its way", lambda: shop.generation() >= 5)
    killed.kill()
    told = killed.communicate()
    assert killed.returncode == -signal.SIGKILL, told
    going_on = shop.run(shop.alice, "apply", file, "--wait", "1m")
    assert [(one["doing"], one["node"]) for one in going_on["nodes"]] == [("go on", "b")]

    sent = shop.sent()
    again = shop.run(shop.alice, "apply", file)
    assert (again["changes"], again["generation"]) == (0, going_on["generation"])
    assert shop.sent() == sent

    more = str(shop.write("a k1", "b k2", "c k1"))
    called = f"{shop.alice.address}/{shop.name}"
    mine, bobs, refused, status, eves = (
        finish(process, code).json
        for process, code in [
            (shop.start(shop.alice, "plan", more), 10),
            (shop.start(shop.bob, "plan", more), 10),
            (shop.start(shop.eve, "apply", more), 6),
            (shop.start(shop.alice, "status", called), 0),
            (shop.start(shop.eve, "status", called), 0),
        ]
    )
    assert mine["nodes"] == bobs["nodes"]
    assert [one["node"] for one in mine["nodes"]] == ["c"]
    effects = {one["node"]: one["effect"] for one in mine["outlook"]}
    assert effects == {"a": "unchanged", "b": "unchanged", "c": "create"}
    assert all(float(one["peak_hour"]) > 0 for one in mine["outlook"])
    assert refused["error"]["rule"] == "role"
    shop.check_that_a_stranger_sees_nothing(more, status)
    assert {node: (one["cluster"], one["phase"], one["sound"]) for node, one in status["nodes"].items()} == {
        "a": ("k1", "started", True),
        "b": ("k2", "started", True),
    }
    assert eves["nodes"]["a"]["url"] == status["nodes"]["a"]["url"]
    assert eves["nodes"]["a"]["live"] is None
    spaces = [one["live"]["namespace"] for one in status["nodes"].values()]
    deployed = json.loads(people.pair.kubectl("-n", spaces[1], "get", "deployments", "-o", "json", index=2))
    (container,) = deployed["items"][0]["spec"]["template"]["spec"]["containers"]
    assert {"name": "WHO", "value": "b 7"} in container["env"]

    _a_second_apply_is_told_and_waits(shop)
    _an_edited_copy_stops_an_apply_until_it_is_repaired(shop)
    shop.check_that_state_outlives_a_workload(spaces[1])
    assert shop.run(shop.alice, "delete", shop.name)["removed"] == ["a", "b"]
    until("no cluster keeps anything of it", lambda: shop.left() == [])
    for index, space in enumerate(spaces, 1):
        until(
            f"{space} is gone",
            lambda index=index, space=space: (
                people.pair.kubectl("get", "ns", space, "--ignore-not-found", "-o", "name", index=index) == ""
            ),
        )


def _a_member_goes_on_from_an_empty_home(shop: Applied) -> None:
    """The founder sees what he changed, in a namespace of its own; then he takes his node away again."""
    called = f"{shop.alice.address}/{shop.name}"
    assert shop.run(shop.bob, "connect", called)["begun"] is False
    assert set(shop.run(shop.bob, "status", called)["nodes"]) == {"a"}
    changed = shop.run(shop.bob, "apply", str(shop.write("a k1", "c k1")))
    assert [(one["doing"], one["node"]) for one in changed["nodes"]] == [("deploy", "c")]
    seen = shop.run(shop.alice, "status", shop.name)
    assert {name: (one["phase"], one["sound"]) for name, one in seen["nodes"].items()} == {
        "a": ("started", True),
        "c": ("started", True),
    }
    shop.run(shop.bob, "apply", str(shop.write("a k1")))
    assert set(shop.run(shop.alice, "status", shop.name)["nodes"]) == {"a"}


@pytest.mark.soak
def test_two_networks_side_by_side_and_one_of_them_again_by_its_history(
    people: People, others: People
) -> None:
    """Nobody waits for the other; what history says is run again on clusters that keep nothing, pods too."""
    shops = [Applied(people), Applied(others)]
    for shop in shops:
        shop.run(shop.alice, "connect", shop.name)
    applies = [shop.start(shop.alice, "apply", str(shop.write("a k1"))) for shop in shops]
    until("each had its Lease", lambda: [one for one in shops if one.had_lease()] == shops)
    for apply in applies:
        assert "lease" not in finish(apply, 0).err
    until("no Lease is left", lambda: not [one for one in shops if one.name in one.leases()])
    _a_member_goes_on_from_an_empty_home(shops[1])
    shop = shops[0]
    shop.check_that_a_stranger_sees_its_name()
    script = finish(shop.alice.start("history", shop.name, "--as-script", *shop.clusters), 0).out
    shop.run(shop.alice, "delete", shop.name)
    until("no cluster keeps anything of it", lambda: shop.left() == [])
    people.run_script(script)
    (node,) = shop.run(shop.alice, "status", shop.name)["nodes"].values()
    assert (node["phase"], node["sound"]) == ("started", True)
    for one in shops:
        one.run(one.alice, "delete", one.name)


@pytest.mark.soak
def test_a_daemon_that_is_killed_knows_its_leases_again(others: People) -> None:
    people = others
    network = name()
    holder = people.held(network)
    daemons.restart(people.pair)
    tell(holder)
    assert said(holder) in ("written 1", "refused lease-lost")
    assert said(people.start(network)).startswith("written ")
    assert people.verb("state", "compare", network=network)["difference"] == ""


@pytest.mark.soak
def test_nodes_call_each_other_and_follow_when_one_moves(people: People) -> None:
    nodes = CallingNodes(people.pair, people.person, people.named, name())
    nodes.apply()
    for node, other in OTHER.items():
        until(f"{node} has the address", lambda n=node, o=other: nodes.file_of(n) == nodes.published(o))
        until(f"{node} calls {other} by its name", lambda n=node: nodes.calls(n))
    uid, address, taken = nodes.uid("a"), nodes.address_of_name("a"), nodes.taken("a")
    before = nodes.move("b")
    nodes.apply(b="anew")
    assert nodes.published("b") != before
    until("a calls b at its new port", lambda: nodes.calls("a"))
    assert (nodes.uid("a"), nodes.address_of_name("a")) == (uid, address)
    assert nodes.taken("a") == [*taken, nodes.published("b")], "its hook was run once, with the new file"
    people.verb("network", "delete", network=nodes.name)
