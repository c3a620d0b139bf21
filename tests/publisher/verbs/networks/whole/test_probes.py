# SPDX-License-Identifier: Apache-2.0
"""An apply ends well exactly where the network's probes hold at the asker's own nodes."""

import json
from itertools import repeat
from typing import Any

import pytest

from tests.publisher.output.answers.held import hold
from tests.publisher.verbs.networks.test_apply import NODES, Team
from tests.publisher.verbs.networks.test_applying import FakePods
from trustedpods.protocol.errors import EvidenceRefused, NetworkFailure, Refused
from trustedpods.publisher.core.networks.probes import ProbeAnswer
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.output.json_run import run_json
from trustedpods.publisher.verbs.networks.lock import status as lock_status
from trustedpods.publisher.verbs.networks.places import parse_place
from trustedpods.publisher.verbs.networks.whole.probes import PAUSE_S

PROBES = """\
  probes:
    - {name: works, node: a, exec: {command: [look]}, timeoutSeconds: 20}
    - {name: whole, node: b, exec: {command: [look]}, timeoutSeconds: 20}
"""
NOT_YET, HOLDS = ProbeAnswer(1, "block 3"), ProbeAnswer(0, "block 7")


@pytest.fixture
async def team(bench, daemons):
    """Of nodes that do not sleep."""
    manifest = bench.folder / "pod.yaml"
    manifest.write_text(manifest.read_text().replace("\n  services:", "\n  scale: {min: 1}\n  services:"))
    return Team(bench, daemons)


def answering(team: Team, **answers: Any) -> FakePods:
    pods = team.pods.setdefault(team.alice.publisher.address, FakePods())
    pods.answers = {node: iter(each) for node, each in answers.items()}
    return pods


async def test_all_are_asked_until_they_hold(team, virtual_time):
    await team.connect()
    answering(team, a=[HOLDS], b=[NOT_YET, NOT_YET, HOLDS])
    done = await team.apply(NODES + PROBES)
    assert [(one.name, one.node, one.said) for one in done.probes] == [
        ("works", "a", "block 7"),
        ("whole", "b", "block 7"),
    ]
    tree: Any = run_json(json_of(done), team.journal, verb="network apply")
    assert tree["probes"][1]["seconds"] >= 2 * PAUSE_S
    hold(["network", "apply", "-o", "json"], json.dumps(tree))
    said = [text for text in team.journal.show.lines if text.startswith("probe whole")]
    assert said == [
        "probe whole at node b does not hold yet: block 3",
        "probe whole at node b holds: block 7",
    ], "what is the same is said once"


async def test_one_that_does_not_hold_in_time_is_named_and_the_next_apply_asks_again(team, virtual_time):
    await team.connect()
    answering(team, a=[HOLDS], b=repeat(NOT_YET))
    with pytest.raises(Refused) as caught:
        await team.apply(NODES + PROBES)
    assert (caught.value.rule, caught.value.where) == ("network-probe", "node b")
    assert caught.value.what == "probe whole did not hold within 20 s: block 3"
    assert team.journal.show.warnings == [], "the error says it"
    assert (
        team.journal.if_interrupted
        == "the nodes are as the file says; the same command again asks its probes"
    )
    pods = answering(team, a=[HOLDS], b=[HOLDS])
    before = list(pods.acts)
    done = await team.apply(NODES + PROBES)
    assert (done.plan.changes, len(done.probes)) == (0, 2)
    assert pods.acts == before, "nothing is done but to ask"


async def test_of_two_that_do_not_hold_the_files_first_is_the_error_and_the_other_a_warning(
    team, virtual_time
):
    await team.connect()
    answering(team, a=repeat(NOT_YET), b=repeat(ProbeAnswer(2, "block 9")))
    with pytest.raises(Refused) as caught:
        await team.apply(NODES + PROBES.replace("20}", "30}", 1))
    assert caught.value.what == "probe works did not hold within 30 s: block 3"
    assert team.journal.show.warnings == ["node b: probe whole did not hold within 20 s: block 9"]


async def test_a_network_may_be_changed_by_others_while_its_probes_are_asked(team, virtual_time):
    await team.connect()
    pods, locks = answering(team, a=[HOLDS], b=[HOLDS]), []
    well = pods.ask

    async def ask(probe):
        place = parse_place(f"{team.alice.publisher.address}/shop", team.named)
        locks.append((await lock_status(team.alice, place, team.journal)).clusters)
        return await well(probe)

    pods.ask = ask
    await team.apply(NODES + PROBES)
    assert [one.holder for clusters in locks for one in clusters.values()] == [None] * 4


@pytest.mark.parametrize(
    ("error", "rule", "told"),
    [
        (
            Refused("no replica of the pod runs: its publisher has stopped it", rule="parked"),
            "network-probe",
            "probe whole cannot be asked: no replica of the pod runs: its publisher has stopped it",
        ),
        (EvidenceRefused("another machine", rule="measurement"), "measurement", "another machine"),
    ],
)
async def test_what_no_later_try_would_change_is_told_at_once(team, virtual_time, error, rule, told):
    await team.connect()
    pods, asked = answering(team, a=[HOLDS]), []
    well = pods.ask

    async def ask(probe):
        if probe.node == "a":
            return await well(probe)
        asked.append(probe.node)
        raise error

    pods.ask = ask
    with pytest.raises(type(error)) as caught:
        await team.apply(NODES + PROBES)
    assert (caught.value.rule, caught.value.where, caught.value.what) == (rule, "node b", told)
    assert asked == ["b"]


async def test_a_provider_that_cannot_be_asked_is_asked_again(team, virtual_time):
    await team.connect()
    pods = answering(team, a=[HOLDS], b=[HOLDS])
    asked, well = [], pods.ask

    async def ask(probe):
        asked.append(probe.node)
        if asked.count("b") == 1 and probe.node == "b":
            raise NetworkFailure("no answer")
        return await well(probe)

    pods.ask = ask
    assert len((await team.apply(NODES + PROBES)).probes) == 2
    assert asked.count("b") == 2


async def test_with_one_node_alone_none_is_asked(team):
    await team.connect()
    answering(team)
    assert (await team.apply(NODES + PROBES, only=("a",))).probes == ()


async def test_of_another_members_nodes_none_is_asked(team, virtual_time):
    await team.connect()
    answering(team, a=[HOLDS], b=[HOLDS])
    bob = team.somebody()
    text = team.members((bob, "operator")) + NODES
    await team.apply(text + PROBES)
    assert (await team.apply(text + PROBES, who=bob)).probes == ()
    told = [text for text in team.journal.show.lines if "not asked" in text]
    assert told == [
        "probe works at node a is not asked: another member deployed that",
        "probe whole at node b is not asked: another member deployed that",
    ]
