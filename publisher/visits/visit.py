# SPDX-License-Identifier: Apache-2.0
"""A pod's provider proves itself again: at every visit, remembered, and loud when it no longer does."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from trustedpods.protocol.errors import BadInput, EvidenceRefused, Refused
from trustedpods.protocol.messages.pod import PodStatus, StatusBody
from trustedpods.protocol.networks.book import NetworkBook
from trustedpods.protocol.units import utc_text
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.locations import PodLocation, require_listed
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session, next_generation, open_session
from trustedpods.publisher.results.providers import ProviderId
from trustedpods.publisher.state.pod_records import PodRecord
from trustedpods.publisher.visits import records, release
from trustedpods.publisher.visits.newest_book import UNTAKEN, NewestBook

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.policy.policy import Policy
    from trustedpods.protocol.net import Host
    from trustedpods.publisher.delivery.provision import Confirmed

Mend = Literal["release", "move", "nothing"]
"""What a visit may do after a reboot: release the pod again, only move its channel, or look on."""


@dataclass(slots=True)
class Visit:
    """A pod's provider as it stands, verified now: `location` and `record` are kept up to date."""

    account: MarketAccount
    location: PodLocation
    session: Session
    record: PodRecord
    journal: Journal

    def remember(self, **changes: object) -> None:
        """Change what is kept of the pod; what was paid meanwhile by another visit stays counted."""
        now = records.newest(self.record, self.journal)
        paid = {"paid_day": now.paid_day, "paid": now.paid, "closing": now.closing}
        self.record = self.record.model_copy(update=paid | changes)
        records.keep(self.record, self.journal)

    async def status(self) -> PodStatus:
        """What the provider says of the pod."""
        ref = self.location.ref
        return await self.session.ask("status", ref, StatusBody(), next_generation(), PodStatus)

    def changed_elsewhere(self, status: PodStatus) -> bool:
        """Whether another client with this key changed the pod after this one did."""
        known, sent = self.record.generation, self.record.releasing
        return known is not None and status.generation > known and status.generation != sent

    def take_up(self, status: PodStatus) -> None:
        """Go on with a deploy of this client that was confirmed, and killed before all of it was kept."""
        if not self.changed_elsewhere(status):
            return
        kept, channel, secret = records.pod_records(), self.record.channel, self.account.publisher.secret
        try:
            sent = kept.version(channel, secret, status.generation)
            if sent is None:
                return
            kept.keep_bundle(channel, secret, sent.bundle)
        except BadInput as error:
            self.journal.show.warning(f"{error}")
            return
        self.record = records.sent_under(self.record, sent.provenance)
        self.remember(generation=status.generation)

    def check_newest(self, status: PodStatus) -> None:
        """Refused where the bundle that is kept here is older than what another client deployed."""
        if self.changed_elsewhere(status):
            raise Refused(
                "the provider's machine was restarted, and another client deployed the pod after this one",
                rule="no-bundle",
                hint="`trustedpods watch` there releases it again, `trustedpods deploy FILE` anywhere",
            )

    async def mend(self, how: Mend, newest: NewestBook | None = None) -> list[str]:
        """After a reboot of the provider: what was done about it, as words for results.

        A node that is released begins with the book that *newest* says.

        Raises `Refused` (rule "no-bundle") when the pod waits for a bundle that this client lacks.
        """
        done: list[str] = []
        if how == "nothing" or self.location.channel is None:
            return done
        boot = self.session.binding.boot_id.hex()
        moved = release.must_move(self.session, self.location.channel)
        if moved:
            live = await release.move_channel(
                self.account,
                self.session,
                self.location.ref,
                self.location.channel,
                self.record,
                self.journal,
            )
            self.location = replace(self.location, channel=live)
            done.append("moved")
        if self.location.live.unlock_at:
            return done  # its owner is taking the deposit back: a pod would be stopped at once
        if how == "release" and (moved or self.record.holder != boot):
            status = await self.status()
            if status.phase == release.AWAITING_KEY:
                self.take_up(status)
                self.check_newest(status)
                confirmed = await self._release(status, newest)
                self.remember(generation=confirmed.statement.generation)
                done.append("released")
            self.remember(holder=boot)
        return done

    async def _release(self, status: PodStatus, newest: NewestBook | None) -> "Confirmed":
        """Send the bundle again, with a newer book where there is one and the provider takes it."""
        before = self._kept_book()
        given = None if newest is None or before is None else await newest(self.record)
        if given is not None and before is not None and given.book.age < before.age:
            given = None  # whoever keeps the document may keep an old one: addresses do not go back in time
        while True:
            if given is not None:
                self._keep_book(given.book)
            try:
                return await release.release(
                    self.account,
                    self.session,
                    self.location,
                    self.record,
                    self.journal,
                    status.statement,
                    lambda generation: self.remember(releasing=generation),
                )
            except Refused as error:
                if given is None or error.rule not in UNTAKEN:
                    raise
                given = given.after(error)
                if given is None and before is not None:
                    self._keep_book(before)

    def _kept_book(self) -> NetworkBook | None:
        """The book of the bundle that is kept here; None where that has none, or cannot be read."""
        try:
            bundle = records.pod_records().bundle(self.record.channel, self.account.publisher.secret)
        except BadInput:
            return None
        return None if bundle is None else bundle.book

    def _keep_book(self, book: NetworkBook) -> None:
        records.keep_book(self.account, self.record.channel, book, self.journal)


async def enter(
    stack: AsyncExitStack,
    account: MarketAccount,
    host: "Host",
    location: PodLocation,
    record: PodRecord,
    policy: "Policy",
    journal: Journal,
) -> Visit:
    """Dial the pod's provider and verify it with a fresh nonce; the outcome is kept either way.

    Raises `EvidenceRefused` with what to do when it does not verify against *policy*, `Refused` where
    the registry no longer says how it is reached.
    """
    require_listed(location)
    try:
        session = await stack.enter_async_context(open_session(host, account.publisher, location.row, policy))
    except EvidenceRefused as error:
        records.keep(records.refused(records.newest(record, journal), error), journal)
        error.where = error.where or ProviderId.of(location.row).name
        error.hint = refusal_hint(record)
        raise
    record = records.attested(records.newest(record, journal), session, policy)
    records.keep(record, journal)
    return Visit(account, location, session, record, journal)


def refusal_hint(record: PodRecord) -> str:
    """What the owner of a pod should know when its provider stops verifying."""
    last = "it never verified from here"
    if record.attested_at:
        at = utc_text(record.attested_at)
        last = f"it verified last at {at} against {record.label or 'built-in'}"
    return f"{last}; nothing was sent to it now. `trustedpods close {record.channel}` takes the deposit back"


def no_bundle(error: Refused) -> bool:
    """Whether a pod could not be released only because this client never deployed it."""
    return error.rule == "no-bundle"
