# SPDX-License-Identifier: Apache-2.0
"""What of a pod's scaling its publisher reads."""

from trustedpods.provider.core.scaler.types import ScalePhase, ScaleState


def cap_told(state: ScaleState, now: float) -> str:
    """That the channel's cap bounds the replicas, in words for the publisher; empty if it does not."""
    limits = state.limits
    if limits.most == limits.max:
        return ""
    of = f"{limits.most} of {limits.max} replicas"
    asked_for = state.load.replicas(now, state.replicas, limits.concurrency)
    if state.phase is ScalePhase.AWAKE and asked_for > limits.most:
        return f"held at {of} by maxCostPerDay, the channel's cap, while requests ask for more"
    return f"at most {of}: maxCostPerDay, the channel's cap, pays for no more"
