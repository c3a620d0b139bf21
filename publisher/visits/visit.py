# SPDX-License-Identifier: Apache-2.0
"""A pod's provider proves itself again: at every visit, remembered, and loud when it no longer does."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.errors import EvidenceRefused, Refused
from trustedpods.protocol.messages.pod import PodStatus, StatusBody
from trustedpods.protocol.net import Host
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.candidates import provider_name
from trustedpods.publisher.market.locations import PodLocation, require_listed
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session, next_generation, open_session
from trustedpods.publisher.state.pod_records import PodMemo
from trustedpods.publisher.visits import records, release

Mend = Literal["release", "move", "nothing"]
"""What a visit may do after a reboot: release the pod again, only move its channel, or look on."""


@dataclass(slots=True)
class Visit:
    """A pod's provider as it stands, verified now: `place` and `memo` are kept up to date."""

    account: MarketAccount
    place: PodLocation
    session: Session
    memo: PodMemo
    journal: Journal

    def remember(self, **changes: object) -> None:
        """Change what is kept of the pod."""
        self.memo = self.memo.model_copy(update=changes)
        records.keep(self.memo, self.journal)

    async def status(self) -> PodStatus:
        """What the provider says of the pod."""
        ref = self.place.ref
        return await self.session.ask("status", ref, StatusBody(), next_generation(), PodStatus)

    async def mend(self, how: Mend) -> list[str]:
        """After a reboot of the provider: what was done about it, as words for results.

        Raises `Refused` (rule "no-bundle") when the pod waits for a bundle that this client lacks.
        """
        done: list[str] = []
        if how == "nothing" or self.place.channel is None:
            return done
        boot = self.session.binding.boot_id.hex()
        moved = release.must_move(self.session, self.place.channel)
        if moved:
            live = await release.move_channel(
                self.account, self.session, self.place.ref, self.place.channel, self.memo, self.journal
            )
            self.place = replace(self.place, channel=live)
            done.append("moved")
        if self.place.live.unlock_at:
            return done  # its owner is taking the deposit back: a pod would be stopped at once
        if how == "release" and (moved or self.memo.holder != boot):
            if (await self.status()).phase == release.AWAITING_KEY:
                await release.release(self.account, self.session, self.place, self.memo, self.journal)
                done.append("released")
            self.remember(holder=boot)
        return done


async def enter(
    stack: AsyncExitStack,
    account: MarketAccount,
    host: Host,
    place: PodLocation,
    memo: PodMemo,
    policy: Policy,
    journal: Journal,
) -> Visit:
    """Dial the pod's provider and verify it with a fresh nonce; the outcome is kept either way.

    Raises `EvidenceRefused` with what to do when it does not verify against *policy*, `Refused` where
    the registry no longer says how it is reached.
    """
    require_listed(place)
    try:
        session = await stack.enter_async_context(open_session(host, account.publisher, place.row, policy))
    except EvidenceRefused as error:
        records.keep(records.refused(memo, error), journal)
        error.where = error.where or provider_name(place.row)
        error.hint = refusal_hint(memo)
        raise
    memo = records.attested(memo, session, policy)
    records.keep(memo, journal)
    return Visit(account, place, session, memo, journal)


def refusal_hint(memo: PodMemo) -> str:
    """What the owner of a pod should know when its provider stops verifying."""
    last = "it never verified from here"
    if memo.attested_at:
        at = datetime.fromtimestamp(memo.attested_at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        last = f"it verified last at {at} against {memo.label or 'built-in'}"
    return f"{last}; nothing was sent to it now. `trustedpods close {memo.name}` takes the deposit back"


def no_bundle(error: Refused) -> bool:
    """Whether a pod could not be released only because this client never deployed it."""
    return error.rule == "no-bundle"
