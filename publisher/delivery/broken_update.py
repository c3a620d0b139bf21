# SPDX-License-Identifier: Apache-2.0
"""After an update that failed: which version of the pod serves now, in words and facts.

An update is paid for by the channel of the pod that runs. So when it fails, its end must never
be an advice that takes the money from under that pod.
"""

import trio

from trustedpods.protocol.errors import NetworkFailure, TrustedPodsError
from trustedpods.protocol.ids import PodRef
from trustedpods.protocol.messages.pod import PodStatus, StatusBody
from trustedpods.publisher.market.session import Session, next_generation
from trustedpods.publisher.results.deployed import AfterUpdate

BACK_WITHIN_S = 120.0
"""A provider that has to start the version before again: its cold start, and some more."""

COMING = frozenset({"received", "waiting-channel", "importing", "starting"})
"""Phases from which a pod goes on by itself."""

STANDING = frozenset({"serving", "failing", "stopped", "parked"})
"""Phases in which a version is in place."""


async def version_of(session: Session, ref: PodRef) -> int | None:
    """The version that serves before the update; None where the provider does not say."""
    try:
        return (await _ask(session, ref)).version
    except TrustedPodsError:
        return None


async def look_after(session: Session, ref: PodRef, name: str, before: int | None) -> AfterUpdate:
    """What serves now that the update failed; waits for a provider that goes back to the version before."""
    deadline = trio.current_time() + BACK_WITHIN_S
    try:
        status = await _ask(session, ref)
        while status.phase in COMING and trio.current_time() < deadline:
            await trio.sleep(session.publisher.timing.update_look_s)
            status = await _ask(session, ref)
    except NetworkFailure:
        return not_known(name)
    except TrustedPodsError as error:
        return AfterUpdate(f"the provider has no such pod ({error.what})", stands=False)
    return judge(status, name, before)


def not_known(name: str) -> AfterUpdate:
    """The provider cannot be asked."""
    return AfterUpdate(f"what serves now is not known: `trustedpods status {name}` says it", stands=None)


def judge(status: PodStatus, name: str, before: int | None) -> AfterUpdate:
    """What a status says of an update that failed, beside the version *before* it."""
    phase, version = status.phase, status.version
    if phase == "awaiting-key":
        text = "the provider was restarted and holds no version: deploy again"
        return AfterUpdate(text, stands=None, phase=phase)
    if phase in COMING:
        text = f"version {version} is being started again: `trustedpods status {name}` says when it serves"
        return AfterUpdate(text, stands=True, version=version, phase=phase)
    if phase in ("clearing", "retained"):
        text = "nothing serves, as before: the volumes of the deleted pod are kept"
        return AfterUpdate(text, stands=True, version=version, phase=phase, changed=False)
    if phase not in STANDING:
        return AfterUpdate(f"nothing serves: the pod is {phase}", stands=False, version=version, phase=phase)
    if before is not None and version != before:
        text = f"version {version} serves now, not {before}: `trustedpods status {name}` says more"
        return AfterUpdate(text, stands=True, version=version, phase=phase, changed=True)
    words = {"serving": "still serves", "failing": "is still in place, and fails to start"}
    text = f"version {version} {words.get(phase, 'is still in place, and stopped')}; nothing was changed"
    return AfterUpdate(text, stands=True, version=version, phase=phase, changed=False)


async def _ask(session: Session, ref: PodRef) -> PodStatus:
    return await session.ask("status", ref, StatusBody(), next_generation(), PodStatus)
