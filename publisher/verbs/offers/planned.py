# SPDX-License-Identifier: Apache-2.0
"""The plan of a deploy: what runs under the pod's name now, beside what would be sent."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trustedpods.manifests.parse import parse_received
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.versions import runs_alike
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import BadInput, Refused, TrustedPodsError
from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.images.stored_size import SizedImage, stored_bytes
from trustedpods.protocol.messages.bundle import Bundle
from trustedpods.protocol.messages.pod import PodStatus, Statement, StatusBody
from trustedpods.publisher.core.cost import Cost, Shape, cost_of, shape_of, terms_of
from trustedpods.publisher.core.select import requirements_of
from trustedpods.publisher.core.updates.difference import (
    FieldChange,
    UpdateEffect,
    differences,
    effect_of,
    image_changes,
    lost_volumes,
)
from trustedpods.publisher.core.updates.interruption import interruption_text
from trustedpods.publisher.core.updates.terms import told_of_terms
from trustedpods.publisher.delivery.bundle import make_bundle
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.candidates import Reached
from trustedpods.publisher.market.locations import PodLocation
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session, next_generation
from trustedpods.publisher.payment.channel import ChannelPayment
from trustedpods.publisher.pod import Pod
from trustedpods.publisher.results.deployed import DeployPlanResult
from trustedpods.publisher.results.providers import ProviderId
from trustedpods.publisher.visits import records

if TYPE_CHECKING:
    from trustedpods.publisher.results.pods import StatusResult

RUNNING = frozenset({"serving", "failing", "parked"})
"""The provider's words for pods of which a version is in place, awake or asleep or stopped."""


@dataclass(frozen=True, slots=True)
class WantedVersion:
    """What would be sent: a bundle, and its manifest as a model."""

    bundle: Bundle
    manifest: PodManifest


async def make_plan(
    account: MarketAccount, pod: Pod, reached: Reached, payment: ChannelPayment, journal: Journal
) -> DeployPlanResult:
    """What a deploy of *pod* to the provider that was *reached* would change: it is asked, no more.

    Raises Refused (rule `volumes`) for a version that no provider takes over the one that runs.
    """
    location = reached.candidate.location
    status = None if location.channel is None else await _status(reached.session, location)
    wanted = WantedVersion(make_bundle(pod, account.publisher), pod.manifest)
    made = plan_over(account, wanted, reached.session, location, status, journal)
    return replace(made, deposit=payment.amount if location.channel is None else None)


def plan_over(
    account: MarketAccount,
    wanted: WantedVersion,
    session: Session,
    location: PodLocation,
    status: PodStatus | None,
    journal: Journal,
) -> DeployPlanResult:
    """What sending *wanted* would change of the pod that has this *status*; raises as `make_plan`."""
    channel = channel_hex(location.ref.channel)
    before = None if status is None else kept_bundle(account, channel, status, journal)
    changes, effect, stops = _changed(before, wanted, status)
    if location.channel is not None and location.channel.unlock_at:
        changes = (*changes, FieldChange("the notice on its deposit is taken back", "", ""))
        effect = "keep" if effect == "unchanged" else effect
    manifest = None if before is None else manifest_in(before)
    if manifest is not None and (lost := lost_volumes(manifest, wanted.manifest)):
        raise Refused(  # as its provider would, after all has been sent
            f"the pod has a volume {lost[0]}, which its newer version lacks",
            rule="volumes",
            hint="keep the volume, or delete the pod with all its data and deploy it anew",
        )
    return DeployPlanResult(
        pod=wanted.manifest.metadata.name,
        publisher=account.publisher.address,
        token=account.token,
        provider=ProviderId.of(session.row),
        effect=effect,
        changes=changes,
        stops=stops,
        known=location.channel is None or before is not None,
        cost=_cost(wanted.bundle, wanted.manifest, session),
        cost_before=None if before is None or manifest is None else _cost(before, manifest, session),
        deposit=None,
        parked=status is not None and status.parked_at is not None,
        terms=() if location.channel is None else _terms(account, wanted, session, location, manifest),
    )


def _terms(
    account: MarketAccount,
    wanted: WantedVersion,
    session: Session,
    location: PodLocation,
    before: PodManifest | None,
) -> tuple[str, ...]:
    """What the open channel takes of the manifest's `payment`, and what is fixed on chain."""
    market, manifest, live = account.market, wanted.manifest, location.live
    wishes = requirements_of(manifest, 0, market.file.token, market.token)
    shape, least = shape_in(wanted.bundle, manifest), session.profile.least
    cap = terms_of(shape, live.terms.prices, least, wishes.max_cost_per_day).cap_per_day
    paid = None if before is None else before.spec.payment
    caps = (live.terms.cap_per_day, cap)
    return told_of_terms(manifest.metadata.name, paid, manifest.spec.payment, caps, account.token)


def _changed(
    before: Bundle | None, wanted: WantedVersion, status: PodStatus | None
) -> tuple[tuple[FieldChange, ...], UpdateEffect, str]:
    """What differs, what becomes of what runs, and what is said of that."""
    if status is None or status.phase not in RUNNING:
        there = "" if status is None else f"nothing of it serves now: it is {status.phase}"
        return (), "create", there
    if before is None:
        images = {} if status.statement is None else decode(status.statement.statement, Statement).images
        new = {image.name: image.blobs[0].digest for image in wanted.bundle.images}
        changes = tuple(image_changes(images, new))
    else:
        changes = differences(before, wanted.bundle)
        if not changes:
            return (), "unchanged", ""
    version, manifest = f"version {status.version}", None if before is None else manifest_in(before)
    both = None if manifest is None else (manifest, wanted.manifest)
    if before is not None and both is not None and runs_alike(before, wanted.bundle, both):
        return changes, "keep", f"{version} is not touched: nothing that runs changes"
    effect, why = effect_of(manifest, wanted.manifest)
    if effect == "restart":
        away = interruption_text(status.events)
        told = f"{version} is stopped first: {why}{away}; if the new one fails, it is started again"
        return changes, effect, told
    told = f"{version} serves until the new one is proven, and is not touched if that fails"
    return changes, effect, told


async def _status(session: Session, location: PodLocation) -> PodStatus | None:
    """What the provider says of the pod that is there; None where there is none, or it does not say."""
    try:
        return await session.ask("status", location.ref, StatusBody(), next_generation(), PodStatus)
    except Refused:
        return None


def deploy_keeps(account: MarketAccount, pod: Pod, status: "StatusResult", journal: Journal) -> bool:
    """Whether a deploy of *pod* changes nothing that runs by that *status*; False where that is not known.

    A node that calls others gets their newest addresses with each deploy, and is proven with them.
    """
    confirmed = status.confirmed
    if confirmed is None or status.phase not in RUNNING or pod.manifest.spec.network.calls:
        return False
    channel = channel_hex(status.pod.channel.id)
    before = _sent_bundle(account, channel, confirmed.images, confirmed.generation, journal)
    manifest = None if before is None else manifest_in(before)
    if before is None or manifest is None:
        return False
    return runs_alike(before, make_bundle(pod, account.publisher), (manifest, pod.manifest))


def kept_bundle(account: MarketAccount, channel: str, status: PodStatus, journal: Journal) -> Bundle | None:
    """The bundle that serves, where this client sent it and nobody came after."""
    if status.statement is None:
        return None
    images = decode(status.statement.statement, Statement).images
    return _sent_bundle(account, channel, images, status.generation, journal)


def _sent_bundle(
    account: MarketAccount, channel: str, images: Mapping[str, str], generation: int, journal: Journal
) -> Bundle | None:
    record = records.load(channel, journal)
    try:
        kept = records.pod_records().bundle(channel, account.publisher.secret)
    except BadInput as error:
        journal.show.warning(f"{error}")
        return None
    if record is None or kept is None:
        return None
    same = images == {image.name: image.blobs[0].digest for image in kept.images}
    newer = record.generation is not None and generation > record.generation
    return kept if same and not newer else None


def manifest_in(bundle: Bundle) -> PodManifest | None:
    """Its manifest; None for one that this version of the client does not take any more."""
    try:
        return parse_received(bundle.manifest)
    except TrustedPodsError:
        return None


def _cost(bundle: Bundle, manifest: PodManifest, session: Session) -> Cost:
    return cost_of(shape_in(bundle, manifest), session.profile.prices, session.profile.least)


def shape_in(bundle: Bundle, manifest: PodManifest) -> Shape:
    """The shape of the pod of a *bundle*, whose *manifest* is read already."""
    size = stored_bytes(
        SizedImage(
            {blob.digest: blob.size for blob in image.blobs},
            tuple((layer.digest, layer.unpacked) for layer in image.layers),
        )
        for image in bundle.images
    )
    return shape_of(manifest, size)
