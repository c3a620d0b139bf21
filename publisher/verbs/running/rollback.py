# SPDX-License-Identifier: Apache-2.0
"""`rollback`: an earlier version of a pod, as it was sent from here, takes the place of the one that runs."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from trustedpods.protocol.errors import EvidenceRefused, Refused
from trustedpods.protocol.ids import address_from_bytes, channel_hex
from trustedpods.protocol.messages.bundle import Bundle
from trustedpods.protocol.net import open_host
from trustedpods.publisher.attestation.policies import policy_for
from trustedpods.publisher.core.cost import cost_of, raised_terms, terms_of
from trustedpods.publisher.core.select import requirements_of
from trustedpods.publisher.delivery.bundle import Parcel
from trustedpods.publisher.delivery.signers import check_signed
from trustedpods.publisher.delivery.upload import Piece
from trustedpods.publisher.images.oci import SourcedImage
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session, open_session
from trustedpods.publisher.payment.channel import ChannelPayment
from trustedpods.publisher.results.deployed import (
    ChosenProvider,
    DeployPlanResult,
    DeployProgress,
    DeployResult,
    KeptVersion,
    VersionsResult,
)
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.results.providers import ProviderId
from trustedpods.publisher.results.validated import UpdateWay
from trustedpods.publisher.state.pod_records import Provenance, SentVersion
from trustedpods.publisher.verbs.aftermath import in_turn
from trustedpods.publisher.verbs.delivery import Delivery
from trustedpods.publisher.verbs.deploy import PATIENCE_S, agreed
from trustedpods.publisher.verbs.offers.planned import (
    WantedVersion,
    kept_bundle,
    manifest_in,
    plan_over,
    shape_in,
)
from trustedpods.publisher.verbs.pods import visit
from trustedpods.publisher.visits import records, release
from trustedpods.publisher.visits.visit import Visit

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.policy.policy import Policy
    from trustedpods.protocol.net import Host


@dataclass(frozen=True, slots=True)
class RollbackOptions:
    """Which version: a `generation`, else the one before the newest. The rest as of a deploy."""

    generation: int | None = None
    agree: Callable[[DeployPlanResult], bool] | None = None
    patience_s: float = PATIENCE_S


async def rollback(
    account: MarketAccount, name: str, options: RollbackOptions, progress: DeployProgress, journal: Journal
) -> DeployResult:
    """Send an earlier version again, by the same way as an update; *progress* as of a deploy.

    It goes to a machine that satisfies the policy which that version was sent under. Raises Refused (rule
    `policy`) where it does not, (rule `no-version`) where this machine keeps none, (rule `no-images`) where
    the provider has lost images of it that are not on this disk any more, and what a deploy raises.
    """
    progress.pod, progress.publisher, progress.token = name, account.publisher.address, account.token
    async with (
        in_turn(account, name, "rollback", journal),
        visit(account, name, VisitProgress(), journal) as visited,
    ):
        sent = _chosen(account, visited, name, options.generation)
        wanted = _wanted(sent.bundle, name)
        policy = policy_for(account.market, sent.provenance.trust, sent.provenance.policy)
        await check_signed(policy, await _named_images(sent, policy), journal)
        async with open_host(None, []) as host, _attested(host, visited, sent, policy) as session:
            again = replace(visited, session=session)
            plan = plan_over(account, wanted, session, again.location, await again.status(), journal)
            await agreed(plan, options.agree, journal)
            parcel = _parcel(account, wanted, sent.provenance, plan.way(wanted.manifest))
            handing = Delivery(
                account,
                parcel,
                _payment(account, again, wanted),
                again.location,
                policy,
                progress,
                journal,
            )
            _tell(again, wanted, progress)
            await handing.run(host, session, options.patience_s)
    return progress.result()


async def versions(account: MarketAccount, name: str, journal: Journal) -> VersionsResult:
    """The versions of the pod that this machine keeps, newest first, and which of them serves."""
    async with visit(account, name, VisitProgress(), journal) as visited:
        channel = channel_hex(visited.location.ref.channel)
        serves = kept_bundle(account, channel, await visited.status(), journal)
    store, secret = records.pod_records(), account.publisher.secret
    kept = []
    for generation in reversed(store.versions(channel)):
        sent = store.version(channel, secret, generation)
        if sent is not None:
            images = {image.name: image.blobs[0].digest for image in sent.bundle.images}
            kept.append(KeptVersion(generation, images, serves=sent.bundle == serves))
    return VersionsResult(name, tuple(kept))


def _chosen(account: MarketAccount, visited: Visit, name: str, generation: int | None) -> SentVersion:
    store, secret = records.pod_records(), account.publisher.secret
    channel = channel_hex(visited.location.ref.channel)
    known = store.versions(channel)
    wanted = generation if generation is not None else (known[-2] if len(known) > 1 else None)
    sent = None if wanted is None or wanted not in known else store.version(channel, secret, wanted)
    if sent is None:
        which = "no version before this one" if generation is None else f"no version {generation}"
        raise Refused(
            f"{which} of {name} is kept on this machine",
            rule="no-version",
            hint=f"`trustedpods rollback {name} --list` shows those that are; else deploy the older file",
        )
    return sent


async def _named_images(sent: SentVersion, policy: "Policy") -> list[SourcedImage]:
    """The images of that version, from where they were found then; none where nobody needs to have signed."""
    if not policy.image_signers:
        return []
    sources = sent.provenance.images
    opened = await trio.to_thread.run_sync(release.images_of, sources)
    if not {image.blobs[0].digest for image in sent.bundle.images} <= {image.digest for image in opened}:
        raise Refused(
            "images of that version are not where they were, so nobody can say who signed them",
            where=", ".join(sources) or None,
            rule="image-signer",
            hint="put them back, or deploy the older file",
        )
    return [SourcedImage(image, source, Path("/")) for image, source in zip(opened, sources, strict=True)]


def _wanted(bundle: Bundle, name: str) -> WantedVersion:
    manifest = manifest_in(bundle)
    if manifest is None:
        raise Refused(
            f"the manifest of that version of {name} is not one that this client takes", rule="no-version"
        )
    return WantedVersion(bundle, manifest)


@asynccontextmanager
async def _attested(
    host: "Host", visited: Visit, sent: SentVersion, policy: "Policy"
) -> AsyncIterator[Session]:
    """A session with the pod's provider under the *policy* of that version: the visit's holds for another."""
    row = visited.location.row
    async with AsyncExitStack() as stack:
        try:
            session = await stack.enter_async_context(
                open_session(host, visited.account.publisher, row, policy)
            )
        except EvidenceRefused as error:
            trust = sent.provenance.trust
            raise Refused(
                f"that version was sent as class {trust} under {policy.label}: {error.what}",
                where=ProviderId.of(row).name,
                rule="policy",
                hint="nothing of it was sent; a deploy of its file can name another policy",
            ) from error
        yield session


def _tell(visited: Visit, wanted: WantedVersion, progress: DeployProgress) -> None:
    session = visited.session
    cost = cost_of(shape_in(wanted.bundle, wanted.manifest), session.profile.prices, session.profile.least)
    channel = visited.location.ref.channel
    progress.chosen = ChosenProvider(ProviderId.of(session.row), session.machine, channel, cost)


def _parcel(account: MarketAccount, wanted: WantedVersion, provenance: Provenance, way: UpdateWay) -> Parcel:
    """That version, with its images from where they were found then."""

    async def pieces() -> Mapping[bytes, Piece]:
        return await trio.to_thread.run_sync(release.pieces_of, account, wanted.bundle, provenance.images)

    return Parcel(wanted.bundle.name, way, wanted.bundle, pieces, provenance)


def _payment(account: MarketAccount, visited: Visit, wanted: WantedVersion) -> ChannelPayment:
    """The channel that is there, with the cap that the version needs."""
    profile, market, live = visited.session.profile, account.market, visited.location.live
    wishes = requirements_of(wanted.manifest, 0, market.file.token, market.token, None, None)
    limit, shape = wishes.max_cost_per_day, shape_in(wanted.bundle, wanted.manifest)
    return ChannelPayment(
        ref=visited.location.ref,
        meter=address_from_bytes(visited.session.binding.meter),
        terms=terms_of(shape, profile.prices, profile.least, limit),
        amount=cost_of(shape, profile.prices, profile.least).deposit(None, account.token, profile.grace_s),
        there=True,
        raised=raised_terms(shape, live.terms, profile.least, limit),
    )
