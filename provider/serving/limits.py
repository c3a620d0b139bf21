# SPDX-License-Identifier: Apache-2.0
"""What a pod's scaler must keep to: the manifest's scaling, the operator's times, the channel's cap."""

from trustedpods.contracts.terms import Terms
from trustedpods.manifests.spec.lifecycle import MAX_GRACE_S
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.provider.core import funds
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.core.scaler.types import Limits
from trustedpods.provider.doors import Doors
from trustedpods.provider.facade.readiness import start_seconds
from trustedpods.provider.pods.bundles import Bundles

PARKED = "its publisher has stopped this pod"
"""Why a pod does not run that its publisher stopped."""

END_SLACK_S = 5.0
"""Beyond the grace of a replica that does not end by itself, until the cluster has told that it is over."""


def end_limit(bundles: Bundles, record: PodRecord) -> float:
    """Seconds within which the pod's replicas end: its own grace, or the longest one if it cannot be read."""
    grace = MAX_GRACE_S
    if bundles.held(record):
        grace = bundles.open(record).manifest.spec.termination_grace_period_seconds
    return grace + END_SLACK_S


def limits_of(doors: Doors, bundles: Bundles, record: PodRecord, stopped: str | None = None) -> Limits:
    """The pod's settings and the operator's, for its scaler; with *stopped* it has no replica, and why.

    Nor has one that its publisher stopped.
    """
    parked = stopped is None and record.parked
    manifest = bundles.open(record).manifest if bundles.held(record) else None
    return Limits(
        min=record.scaling.min_replicas,
        max=record.scaling.max_replicas,
        idle_after=float(record.scaling.idle_after_s),
        concurrency=record.scaling.concurrency,
        idle_connection=_idle_connection(bundles, record),
        wake_limit=max(float(doors.config.facade.wake_limit_s), _asked(doors, manifest)),
        start_limit=start_limit(doors, manifest),
        stopped=PARKED if parked else stopped,
        parked=parked,
        affordable=_affordable(doors, record),
        warm_for=_warm_for(doors, manifest),
    )


def _warm_for(doors: Doors, manifest: PodManifest | None) -> float:
    """Seconds of warm sleep; none where no agent freezes replicas, or nobody can read what was asked."""
    if manifest is None or not doors.freezer.there:
        return 0.0
    return float(manifest.spec.scale.warm_s)


def _affordable(doors: Doors, record: PodRecord) -> int | None:
    """Replicas that the channel's cap pays for, once its terms are known."""
    if record.terms is None:
        return None
    terms, ours = Terms.unpack(record.terms), doors.config.terms
    return funds.affordable(terms, record.size, record.scaling, ours.idle_mib, ours.cap_interval_s)


def start_limit(doors: Doors, manifest: PodManifest | None) -> float:
    """Seconds that a start may take: the operator's, or what its probes ask for up to his most."""
    return max(float(doors.config.terms.start_limit_s), _asked(doors, manifest))


def _asked(doors: Doors, manifest: PodManifest | None) -> float:
    """Seconds that the manifest's probes give a start, if they do; `max_start_s` at most.

    A volume that waits for a backup has all of that: how long its publisher needs nobody knows.
    """
    most = float(doors.config.terms.max_start_s)
    if manifest is None:
        return 0.0
    waits = any(volume.seed and volume.seed.backup for volume in manifest.spec.volumes)
    return most if waits else min(float(start_seconds(manifest)), most)


def _idle_connection(bundles: Bundles, record: PodRecord) -> float:
    """In seconds, as the manifest says, if it can still be read."""
    if not bundles.held(record):
        return Limits().idle_connection
    return float(bundles.open(record).manifest.spec.scale.idle_connection)
