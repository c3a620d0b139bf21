# SPDX-License-Identifier: Apache-2.0
"""Nodes of clusters that were declared lost: which come anew, and what their volumes begin with. Pure.

That a cluster is lost is an owner's signed word in the network's document, which every reader checks. A
provider that does not answer is not lost: it may be back in a moment, with all that it keeps.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.networks.content import NetworkContent
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.core.networks.plan import Plan
from trustedpods.publisher.core.networks.telling import moment

LOST_NODES = "lost-nodes"
"""The rule by which an apply is refused that would make nodes of lost clusters anew without that word."""

WAITING = frozenset({"deploy", "go on"})
"""Steps after which a volume of `seed: {backup: true}` may wait for its files."""


@dataclass(frozen=True, slots=True)
class Replacing:
    """A person's word that nodes of lost clusters come anew.

    Their backups are in *store*, None for each pod's own place. Those that *empty* names may begin without
    files though they have a backup.
    """

    store: str | None = None
    empty: tuple[str, ...] = ()

    @property
    def said(self) -> list[tuple[str, str]]:
        """The same as history keeps it."""
        place = [] if self.store is None else [("--store", self.store)]
        return [("--replace-lost", ""), *place, *(("--empty", one) for one in self.empty)]


StoredVolume = tuple[str, int | None]
"""A volume's name, and the number of its replica; None where replicas have none."""


@dataclass(frozen=True, slots=True)
class LostNode:
    """A node whose cluster was declared lost, for a *reason*, and the *cluster* where it comes anew."""

    node: str
    lost: str
    reason: str
    cluster: str

    @property
    def told(self) -> str:
        """Why it is made anew."""
        return f"cluster {self.lost} was declared lost"


@dataclass(frozen=True, slots=True)
class ChosenBackup:
    """A pod's newest backup: its place, its name, when it was begun (Unix seconds), and what it has."""

    store: str
    name: str
    began: UnixSeconds
    volumes: frozenset[StoredVolume]


def lost_nodes(plan: Plan, content: NetworkContent) -> tuple[LostNode, ...]:
    """The nodes that *plan* takes out of a lost cluster and deploys in another one."""
    reasons = {one.name: one.lost.reason for one in content.clusters if one.lost is not None}
    left = {step.node: step.cluster for step in plan.nodes if step.doing == "remove"}
    return tuple(
        LostNode(step.node, left[step.node], reasons[left[step.node]], step.cluster)
        for step in plan.nodes
        if step.doing == "deploy" and left.get(step.node) in reasons
    )


def check_agreed(lost: Collection[LostNode], *, replace: bool) -> None:
    """Refused (rule `lost-nodes`) where there are any and nobody said that they are to come anew."""
    if replace or not lost:
        return
    named = ", ".join(f"{one.node} ({one.told})" for one in lost)
    raise Refused(
        f"what these nodes kept in their volumes is not there any more: {named}",
        where=f"node {next(iter(lost)).node}",
        rule=LOST_NODES,
        hint="`trustedpods network plan` says which come back from a backup and which empty; "
        "`network apply --replace-lost` does it",
    )


def check_may_come_anew(lost: Collection[LostNode], manifests: Mapping[str, PodManifest]) -> None:
    """Refused (rule `no-restore`) for a node with files that must not go back in time: they are lost."""
    for one in lost:
        if why := why_never(manifests[one.node]):
            raise Refused(
                f"{why}, and it was lost with cluster {one.lost}",
                where=f"node {one.node}",
                rule="no-restore",
                hint="take the node out of the file, and write one with another name and another key into it",
            )


def why_never(manifest: PodManifest) -> str:
    """Why the pod may not come anew without its volumes; empty where it may."""
    kept = [name for name, one in manifest.persistent_volumes.items() if one.never_restore]
    if not kept:
        return ""
    return f"volume {kept[0]} must not go back in time: an empty one lets the node sign again what it signed"


def waiting_volumes(manifest: PodManifest) -> frozenset[StoredVolume]:
    """The volumes of all replicas that begin with a backup."""
    names = [one.name for one in manifest.spec.volumes if one.seed is not None and one.seed.backup]
    stateful = manifest.spec.workload == "stateful"
    ordinals = range(manifest.claims_each) if stateful else (None,)
    return frozenset((name, ordinal) for name in names for ordinal in ordinals)


def lacking(manifest: PodManifest, found: ChosenBackup | None) -> str:
    """Why the pod's waiting volumes cannot all be filled from *found*; empty where they can."""
    wanted = waiting_volumes(manifest)
    if found is None:
        return "it waits for a backup, and none is known" if wanted else ""
    missing = sorted(wanted - found.volumes, key=lambda one: (one[0], one[1] or 0))
    if not missing:
        return ""
    name, ordinal = missing[0]
    whose = "" if ordinal is None else f" of replica {ordinal}"
    return f"it waits for a backup, and backup {found.name} has no volume {name}{whose}"


def unused(manifest: PodManifest, found: ChosenBackup | None) -> str:
    """Which backup has a volume that a lost pod's file lets begin empty; empty if none."""
    if found is None:
        return ""
    filled = {name for name, _ in waiting_volumes(manifest)}
    kept = sorted({name for name, _ in found.volumes} & manifest.persistent_volumes.keys() - filled)
    if not kept:
        return ""
    return (
        f"backup of {moment(found.began)} has volume {kept[0]}, whose file says no `seed: {{backup: true}}`"
    )


def beginning(lost: LostNode, manifest: PodManifest, found: ChosenBackup | None) -> str:
    """What a plan says of a lost node behind `recreate`."""
    if why := why_never(manifest) or lacking(manifest, found) or unused(manifest, found):
        return f"not done: {why}; {lost.told}"
    if found is None or not waiting_volumes(manifest):
        return f"empty; {lost.told}"
    return f"from backup of {moment(found.began)}; {lost.told}"
