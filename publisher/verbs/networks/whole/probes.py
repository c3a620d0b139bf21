# SPDX-License-Identifier: Apache-2.0
"""What shows that a network works as a whole: its file's probes, asked of nodes that serve."""

from collections.abc import Sequence
from time import monotonic
from typing import Final

import trio

from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.publisher.core.networks.probes import NodeProbe, ProbeAnswer
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.results.networks import NetworkProbeResult
from trustedpods.publisher.verbs.networks.applying import NodePods
from trustedpods.publisher.verbs.networks.status import QUESTIONS

PAUSE_S: Final = 2.0
"""Between two tries: each is a session of its own, and a chain's block takes as long."""

NETWORK_PROBE = "network-probe"


async def all_hold(
    pods: NodePods, probes: Sequence[NodeProbe], journal: Journal
) -> tuple[NetworkProbeResult, ...]:
    """Ask all *probes* side by side until each holds.

    Raises Refused (rule `network-probe`) for the first that does not hold within its limit.
    """
    found: dict[NodeProbe, NetworkProbeResult] = {}
    failed: list[Refused] = []
    limit = trio.CapacityLimiter(QUESTIONS)

    async def one(probe: NodeProbe) -> None:
        async with limit:
            try:
                found[probe] = await _holds(pods, probe, journal)
            except Refused as error:
                failed.append(error)
                journal.show.warning(f"{error.where}: {error.what}")

    async with open_nursery() as nursery:
        for probe in probes:
            nursery.start_soon(one, probe)
    if failed:
        raise failed[0]
    return tuple(found[probe] for probe in probes)


async def _holds(pods: NodePods, probe: NodeProbe, journal: Journal) -> NetworkProbeResult:
    began, last = monotonic(), "it gave no answer"
    with trio.move_on_after(probe.limit_s):
        while True:
            answer = await _answer(pods, probe)
            if answer.code == 0:
                took = monotonic() - began
                journal.event("probe", f"probe {probe.name} at node {probe.node} holds: {answer.said}")
                return NetworkProbeResult(probe.name, probe.node, took, answer.said)
            if answer.said != last:
                last = answer.said
                journal.event("probe", f"probe {probe.name} at node {probe.node} does not hold yet: {last}")
            await trio.sleep(PAUSE_S)
    raise Refused(
        f"probe {probe.name} did not hold within {probe.limit_s} s: {last}",
        where=f"node {probe.node}",
        rule=NETWORK_PROBE,
        hint="`trustedpods network status` and `network logs` say how its nodes are; apply again asks again",
    )


async def _answer(pods: NodePods, probe: NodeProbe) -> ProbeAnswer:
    """One try; a provider that does not answer, or a node that sleeps, is one that failed."""
    try:
        return await pods.ask(probe)
    except TrustedPodsError as error:
        return ProbeAnswer(None, str(error))
