# SPDX-License-Identifier: Apache-2.0
"""What shows that a network works as a whole: its file's probes, asked of nodes that serve."""

from collections.abc import Sequence
from typing import Final

import trio

from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.publisher.core.networks.probes import NodeProbe, ProbeAnswer
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.results.networks import HeldProbe
from trustedpods.publisher.verbs.networks.applying import NodePods
from trustedpods.publisher.verbs.networks.status import QUESTIONS

PAUSE_S: Final = 2.0
"""Between two tries: each is a session of its own, and a chain's block takes as long."""

NETWORK_PROBE = "network-probe"

STOPPED = "parked"
"""The rule by which a provider runs nothing in a pod that its publisher has stopped."""

_STATUS = "`trustedpods network status` and `network logs` say how its nodes are; apply again asks again"
_START = "`trustedpods start` lets it run; `trustedpods network status` says what its pod is called"


async def all_hold(pods: NodePods, probes: Sequence[NodeProbe], journal: Journal) -> tuple[HeldProbe, ...]:
    """Ask all *probes* side by side until each holds.

    Raises Refused (rule `network-probe`) for the first of them that does not hold within its limit, or whose
    node is stopped; of others that do not a warning tells. Raises at once what no later try would change, as
    EvidenceRefused of a provider.
    """
    found: dict[NodeProbe, HeldProbe] = {}
    failed: dict[NodeProbe, Refused] = {}
    limit = trio.CapacityLimiter(QUESTIONS)

    async def one(probe: NodeProbe) -> None:
        async with limit:
            try:
                found[probe] = await _holds(pods, probe, journal)
            except Refused as error:
                failed[probe] = error
            except TrustedPodsError as error:
                error.came_of(f"node {probe.node}")
                raise

    async with open_nursery() as nursery:
        for probe in probes:
            nursery.start_soon(one, probe)
    if failed:
        first, *others = (failed[probe] for probe in probes if probe in failed)
        for other in others:
            journal.show.warning(f"{other.where}: {other.what}")
        raise first
    return tuple(found[probe] for probe in probes)


async def _holds(pods: NodePods, probe: NodeProbe, journal: Journal) -> HeldProbe:
    began, last = trio.current_time(), "it gave no answer"
    with trio.move_on_after(probe.limit_s):
        while True:
            answer = await _answer(pods, probe)
            if answer.code == 0:
                took = trio.current_time() - began
                journal.event("probe", f"probe {probe.name} at node {probe.node} holds: {answer.said}")
                return HeldProbe(probe.name, probe.node, took, answer.said)
            if answer.said != last:
                last = answer.said
                journal.event("probe", f"probe {probe.name} at node {probe.node} does not hold yet: {last}")
            await trio.sleep(PAUSE_S)
    raise _failure(probe, f"did not hold within {probe.limit_s} s: {last}", _STATUS)


async def _answer(pods: NodePods, probe: NodeProbe) -> ProbeAnswer:
    """One try; a provider that does not answer, or a node of which no replica runs, is one that failed."""
    try:
        return await pods.ask(probe)
    except (NetworkFailure, Refused) as error:
        if error.rule == STOPPED:
            raise _failure(probe, f"cannot be asked: {error.what}", _START) from None
        return ProbeAnswer(None, str(error))


def _failure(probe: NodeProbe, what: str, hint: str) -> Refused:
    return Refused(f"probe {probe.name} {what}", where=f"node {probe.node}", rule=NETWORK_PROBE, hint=hint)
