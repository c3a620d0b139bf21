# SPDX-License-Identifier: Apache-2.0
"""Nodes of lost clusters: the backups that they come back from, and their volumes filled while they start."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

import trio

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import PodRef, channel_hex
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.backups.places import open_store, require_folder
from trustedpods.publisher.backups.pod_backups import PodBackups
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.networks.plan import Plan
from trustedpods.publisher.core.networks.planning.replacing import (
    WAITING,
    ChosenBackup,
    LostNode,
    beginning,
    check_may_come_anew,
    lacking,
    unused,
    waiting_volumes,
)
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.payment import channel, refund
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.state.names import remember_name
from trustedpods.publisher.verbs.aftermath import alone
from trustedpods.publisher.verbs.backups.places import KnownBackups, backup_records, known_place, scope_of
from trustedpods.publisher.verbs.running.restore import RestoreOptions, restore

WAITS_S = 3600.0
"""How long a restore waits for a volume that does not wait yet: it ends with the deploy, whose image may be
long on its way and which has a limit of its own."""

AGAIN_S = 5.0
"""After a provider, or the place of backups, did not answer. A restore begun anew clears what is there."""


async def newest_backup(account: MarketAccount, pod: str, store: str | None) -> ChosenBackup | None:
    """The newest backup of the pod; None where its place was read and has none, or no place is known.

    *store* is None for the place of its schedule or of its last backup from here. Raises BadInput where the
    newest does not open, or the place is a folder that is not there; StoreFailure where it cannot be read;
    Refused (rule `backup-gone`) where a newer one was there.
    """

    def look() -> ChosenBackup | None:
        record = backup_records().load(scope_of(account), pod)
        if store is None and record.scheduled is None and record.last is None:
            return None
        place = known_place(scope_of(account), pod, store)
        backups = PodBackups(open_store(place), pod, account.publisher.secret)
        known = KnownBackups(backups, account.publisher.address)
        if known.newest() is None and not backups.names():
            require_folder(place)
            return None
        found = known.opened(None)
        volumes = frozenset((part.volume, part.ordinal) for part in found.index.parts)
        return ChosenBackup(place, found.name, UnixSeconds(found.index.began), volumes)

    return await trio.to_thread.run_sync(look, abandon_on_cancel=True)  # type: ignore[call-arg]  # old stubs


async def backups_for(
    account: MarketAccount,
    pods: Mapping[str, str],
    plan: Plan,
    lost: Collection[LostNode],
    manifests: Mapping[str, PodManifest],
    store: str | None,
    journal: Journal,
    empty: Collection[str] = (),
) -> dict[str, ChosenBackup]:
    """The backup of each node that *plan* starts and that waits for one; *pods* are their names, by node.

    A lost node must have one, whole. Of another that is begun, as after an apply that was killed, it is told
    where none is there. Raises Refused (rules `no-restore`, `no-backup`), and what `newest_backup` raises; so
    too for a lost node that would begin empty though it has a backup, unless it is one of *empty*.
    """
    check_may_come_anew(lost, manifests)
    for one in lost:
        if one.node not in empty:
            await _check_empty(account, one.node, pods[one.node], manifests[one.node], store)
    must = {one.node for one in lost} | {step.node for step in plan.nodes if step.doing == "go on"}
    chosen: dict[str, ChosenBackup] = {}
    for step in plan.nodes:
        node = step.node
        if step.doing not in WAITING or not waiting_volumes(manifests[node]):
            continue
        try:
            found = await newest_backup(account, pods[node], store)
            if why := lacking(manifests[node], found):
                raise Refused(
                    why,
                    rule="no-backup",
                    hint="--store names another place; without `seed` in its file it starts empty",
                )
        except TrustedPodsError as error:
            error.came_of(f"node {node}")
            if node in must or isinstance(error, NetworkFailure):
                raise
            journal.show.warning(f"{error}; `trustedpods restore {pods[node]}` fills it")
            continue
        if found is not None:
            chosen[node] = found
            journal.event("backup", f"node {node} begins with backup {found.name}")
    return chosen


async def _check_empty(
    account: MarketAccount, node: str, pod: str, manifest: PodManifest, store: str | None
) -> None:
    if not manifest.persistent_volumes:
        return
    try:
        if why := unused(manifest, await newest_backup(account, pod, store)):
            hint = f"write it beside `persistent`, or `--empty {node}` lets the node begin without"
            raise Refused(why, rule="no-restore", hint=hint)
    except TrustedPodsError as error:
        error.came_of(f"node {node}")
        raise


async def beginnings(
    account: MarketAccount,
    pods: Mapping[str, str],
    lost: Collection[LostNode],
    manifests: Mapping[str, PodManifest],
    store: str | None,
) -> dict[str, str]:
    """What a plan says of each lost node; also that its backups cannot be read, which hinders no plan."""
    told: dict[str, str] = {}
    for one in lost:
        manifest, found = manifests[one.node], None
        try:
            if manifest.persistent_volumes:
                found = await newest_backup(account, pods[one.node], store)
            told[one.node] = beginning(one, manifest, found)
        except TrustedPodsError as error:
            told[one.node] = f"its backups are not known: {error.what}; {one.told}"
    return told


async def give_up(account: MarketAccount, ref: PodRef, name: str, journal: Journal) -> None:
    """Give notice on the channel of the pod *name* at a provider that is not asked, if one is open.

    It is named by its channel from then on, as the pod's name is that of the one which comes in its place.
    Raises NetworkFailure where the chain does not answer, and Locked as `alone`.
    """
    with alone(account, name, "close", beside=("backup",)):
        if await channel.look(account, ref) is not None:
            await refund.give_notice(account, ref, channel_hex(ref.channel), journal)


TOLD_WITHIN_S = 10.0
"""After its pod serves, for a restore to say what it filled: nothing that it waits for comes any more."""


@asynccontextmanager
async def filling(
    account: MarketAccount, ref: PodRef, name: str, chosen: ChosenBackup | None, journal: Journal
) -> AsyncIterator[None]:
    """While the block deploys the pod *name* under *ref*, its waiting volumes are filled from *chosen*.

    What hinders that is told; the deploy then ends as one whose pod did not become ready.
    """
    if chosen is None:
        yield
        return
    remember_name(state_dir(), channel_hex(ref.channel), name)  # a visit by the id may begin its record
    ended = trio.Event()

    async def fill() -> None:
        await _fill(account, ref, name, chosen, journal)
        ended.set()

    async with open_nursery() as nursery:
        nursery.start_soon(fill)
        yield
        with trio.move_on_after(TOLD_WITHIN_S):
            await ended.wait()
        nursery.cancel_scope.cancel()


async def _fill(
    account: MarketAccount, ref: PodRef, name: str, chosen: ChosenBackup, journal: Journal
) -> None:
    options = RestoreOptions(chosen.store, chosen.name, wait_s=WAITS_S, channel=channel_hex(ref.channel))
    told = ""
    while True:
        try:
            await restore(account, name, options, VisitProgress(), journal)
        except NetworkFailure as error:
            if error.what != told:
                journal.show.warning(f"{name} is not filled from its backup yet: {error}")
            told = error.what
            await trio.sleep(AGAIN_S)
        except TrustedPodsError as error:
            journal.show.warning(f"{name} is not filled from its backup: {error}")
            break
        else:
            break
