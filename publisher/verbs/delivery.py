# SPDX-License-Identifier: Apache-2.0
"""Pay and send, through outages; and when it comes to nothing, get the money back."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import trio

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import BadInput, NetworkFailure, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.ids import address_from_bytes, channel_hex
from trustedpods.publisher.core.channels.fallback import another_may_take
from trustedpods.publisher.delivery.broken_update import look_after, not_known, version_of
from trustedpods.publisher.delivery.bundle import Parcel
from trustedpods.publisher.delivery.provision import Confirmed, ProvisionConversation
from trustedpods.publisher.delivery.report import local_note
from trustedpods.publisher.delivery.upload import Traffic
from trustedpods.publisher.journal import Journal, Step
from trustedpods.publisher.market.candidates import provider_name
from trustedpods.publisher.market.locations import PodLocation
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session, open_session
from trustedpods.publisher.payment import channel, refund
from trustedpods.publisher.payment.channel import ChannelPayment
from trustedpods.publisher.results.confirmed import ConfirmedPod
from trustedpods.publisher.state.pod_records import SentVersion
from trustedpods.publisher.verbs.aftermath import Aftermath
from trustedpods.publisher.visits import records, release

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.policy.policy import Policy
    from trustedpods.protocol.net import Host
    from trustedpods.publisher.results.deployed import AfterUpdate, DeployProgress

MAX_OUTAGES = 5
"""Outages of one deploy; after that the line is not worth waiting for."""

ASK_AGAIN_S = 60.0
"""For a provider that went silent in an update to say what serves now."""


class Delivery:
    """One pod to one provider."""

    def __init__(
        self,
        account: MarketAccount,
        parcel: Parcel,
        payment: ChannelPayment,
        location: PodLocation,
        policy: "Policy",
        progress: "DeployProgress",
        journal: Journal,
        *,
        gives_up: bool = False,
    ) -> None:
        """*gives_up*: after a failure of the provider's another one is tried, so this one is given notice."""
        self._gives_up, self._leaves = gives_up, False
        self._progress = progress
        self._policy = policy
        self._account = account
        self._parcel = parcel
        self._payment = payment
        self._location = location
        self._journal = journal
        self._traffic = Traffic()
        self._generations: set[int] = set()

    async def run(self, host: "Host", session: Session, patience_s: float) -> None:
        """Pay and send side by side until the pod serves; when it fails, see to the money.

        A provider that goes away is waited for so long, in seconds.
        """
        self._patience_s = patience_s
        self._boot = session.binding.boot_id
        name = self._parcel.name
        if self._location.channel is None:
            self._keep_bundle()
        update = self._payment.there  # later it says so of a first deploy's channel too
        self._journal.if_interrupted = _if_interrupted(name, update=update)
        before = await version_of(session, self._location.ref) if update else None
        if update:
            self._tell_stop()
        try:
            if self._location.channel is not None and self._location.channel.unlock_at:
                await channel.cancel_notice(self._account, self._payment, self._journal)
            confirmed = await self._persist(host, session)
            self._keep_confirmed(confirmed)
        except TrustedPodsError as error:
            error.where = error.where or provider_name(self._location.row)
            after = self._aftermath(host, session)
            after.gives_up = self._leaves = self._gives_up and another_may_take(error)
            await after.ask()
            lost = after.lost(error, name)
            stands: bool | None = False if lost is None else None
            if update and lost is None:
                serves = await self._after_update(host, session, error, before)
                self._progress.serves, stands = serves, serves.stands
                error.hint = f"{serves.text}; {error.hint}" if error.hint else serves.text
                await after.ask()
            kept = partial(after.kept, error)
            self._progress.money = await refund.rescue(
                self._account, self._payment, self._closable, error, self._journal, kept, in_use=stands
            )
            self._remember_generation(after)
            if lost is not None:
                raise lost from error
            raise
        self._progress.confirmed = ConfirmedPod.of(confirmed.statement)
        self._tell_confirmed(name, confirmed)

    def _tell_confirmed(self, name: str, confirmed: Confirmed) -> None:
        if self._progress.parked:
            text = f"{name} is stopped, as before; `trustedpods start {name}` lets it run"
            self._journal.event("parked", text)
            return
        if not confirmed.statement.endpoints:
            self._journal.event("serving", f"{name} runs; no service of it is exposed")
        for endpoint in confirmed.statement.endpoints:
            self._journal.event("serving", f"{name} serves at {endpoint.url}", url=endpoint.url)
        note = local_note(endpoint.url for endpoint in confirmed.statement.endpoints)
        if note is not None:
            self._journal.event("localhost", note)

    @property
    def _closable(self) -> str:
        """What `close` is to be called with: a pod that goes on elsewhere keeps its other channel."""
        return channel_hex(self._location.ref.channel) if self._leaves else self._parcel.name

    def _aftermath(self, host: "Host", session: Session) -> Aftermath:
        """Asks what is there now; the provider is dialled once more where *session* is gone."""

        @asynccontextmanager
        async def redial() -> AsyncIterator[Session]:
            row = await self._row(session.row)
            async with open_session(host, self._account.publisher, row, self._policy) as again:
                yield again

        return Aftermath(
            self._account,
            self._location.ref,
            session,
            self._generations,
            self._payment.life,
            redial,
            payment=self._payment,
        )

    def _remember_generation(self, after: Aftermath) -> None:
        """A request of ours that failed was the last word all the same: no other client's came after it."""
        record = records.load(channel_hex(self._location.ref.channel), self._journal)
        if record is not None and after.told is not None and after.told.generation in self._generations:
            records.keep(record.model_copy(update={"generation": after.told.generation}), self._journal)

    def _tell_stop(self) -> None:
        """Two versions may not write one volume: such an update has a gap."""
        self._progress.update = self._parcel.way
        if self._progress.update == "stops-first":
            self._journal.event(
                "stops-first", "the version before is stopped first: the two must not run at once"
            )

    async def _after_update(
        self, host: "Host", session: Session, error: TrustedPodsError, before: int | None
    ) -> "AfterUpdate":
        """Ask what serves now; a provider that went silent is dialled once more."""
        ref, name = self._location.ref, self._parcel.name
        if not isinstance(error, NetworkFailure):
            return await look_after(session, ref, name, before)
        after = not_known(name)
        with trio.move_on_after(ASK_AGAIN_S), suppress(TrustedPodsError):
            row = await self._row(session.row)
            async with open_session(host, self._account.publisher, row, self._policy) as again:
                after = await look_after(again, ref, name, before)
        return after

    def _keep_confirmed(self, confirmed: Confirmed) -> None:
        """The version comes first, by which a later visit goes on with this after a kill; then the bundle.

        A generation that is remembered without its bundle would release the one before.
        """
        account, kept = self._account, channel_hex(self._location.ref.channel)
        sent = SentVersion(self._parcel.bundle, self._parcel.provenance)
        try:
            records.pod_records().keep_version(
                kept, account.publisher.secret, confirmed.statement.generation, sent
            )
        except (BadInput, OSError) as error:
            self._journal.show.warning(f"{error}; `rollback` cannot go back to this version")
        if self._keep_bundle():
            self._remember_holder(confirmed)
        else:
            self._forget_newest()

    def _keep_bundle(self) -> bool:
        """What the provider runs, or soon will: `watch` sends it again after a reboot. Whether it is kept."""
        account, kept = self._account, channel_hex(self._location.ref.channel)
        try:
            records.pod_records().keep_bundle(kept, account.publisher.secret, self._parcel.bundle)
        except BadInput as error:
            self._journal.show.warning(f"{error}; after a reboot of the provider deploy again by hand")
            return False
        return True

    def _forget_newest(self) -> None:
        """The bundle that is kept is an older one: no release may take it for what runs."""
        record = records.load(channel_hex(self._location.ref.channel), self._journal)
        if record is not None and record.generation is None:
            records.keep(record.model_copy(update={"generation": 0}), self._journal)

    def _remember_holder(self, confirmed: Confirmed) -> None:
        """The boot that holds the bundle, so that a later visit sees when it is another, and its trust."""
        record = records.load(channel_hex(self._location.ref.channel), self._journal)
        if record is not None:
            generation = confirmed.statement.generation
            changed = {
                "holder": self._boot.hex(),
                "meter": self._payment.meter,
                "generation": generation,
                "label": self._policy.label,
            }
            record = records.sent_under(record, self._parcel.provenance)
            records.keep(record.model_copy(update=changed), self._journal)

    async def _persist(self, host: "Host", session: Session) -> Confirmed:
        """Go on after an outage where the provider and its spool are; blobs and channel are met."""
        async with AsyncExitStack() as stack:
            for _ in range(MAX_OUTAGES):
                try:
                    return await self._attempt(session)
                except RemoteProtocolError:
                    raise
                except NetworkFailure as error:
                    if not self._patience_s:
                        raise
                    self._journal.show.warning(f"{error}; trying again for {self._patience_s:.0f} s")
                    session = await self._reconnect(stack, host, session, error)
            return await self._attempt(session)

    async def _attempt(self, session: Session) -> Confirmed:
        there = (
            await channel.look(self._account, self._location.ref) if self._known() else self._location.channel
        )
        if there is not None and release.must_move(session, there):
            record = records.pod_records().load(channel_hex(self._location.ref.channel))
            there = await release.move_channel(
                self._account, session, self._location.ref, there, record, self._journal
            )
        if there is not None:
            there = await channel.raise_cap(self._account, self._payment, there, self._journal)
        terms: Terms = self._payment.terms if there is None else there.terms

        async def pay(step: Step) -> None:
            await channel.ensure(self._account, self._payment, there, step, self._journal)

        provisioning = ProvisionConversation(
            session, self._location.ref, self._parcel.bundle, self._parcel.pieces, terms, self._journal
        )
        self._generations.add(provisioning.generation)
        try:
            return await provisioning.run(pay)
        finally:
            self._traffic.add(provisioning.traffic)
            self._progress.sent = self._traffic.so_far()

    def _known(self) -> bool:
        """Whether the channel may stand otherwise on chain than when this run looked first."""
        return self._payment.ours or self._payment.there

    async def _reconnect(
        self, stack: AsyncExitStack, host: "Host", session: Session, error: NetworkFailure
    ) -> Session:
        """Dial and attest again while patience lasts; then raise *error*."""
        policy = self._policy
        deadline = trio.current_time() + self._patience_s
        while True:
            await trio.sleep(self._account.timing.reconnect_s)
            try:
                row = await self._row(session.row)
                again = open_session(host, self._account.publisher, row, policy)
                session = await stack.enter_async_context(again)
            except NetworkFailure:
                if trio.current_time() > deadline:
                    raise error from None
                continue
            self._payment.meter = address_from_bytes(session.binding.meter)
            self._boot = session.binding.boot_id
            return session

    async def _row(self, known: RegistryRow) -> RegistryRow:
        """The provider's row as it stands now: a restart may have moved its endpoint."""
        rows = await self._account.market.rows()
        same = (row for row in rows if (row.owner, row.daemon) == (known.owner, known.daemon))
        return next(same, known)


def _if_interrupted(name: str, *, update: bool) -> str:
    """What to do after Ctrl-C; an update has a version before it, which nobody wants to end."""
    goes_on = "the provider goes on with what it has; `trustedpods deploy` again goes on from there"
    if update:
        return f"{goes_on}, `trustedpods status {name}` says which version serves"
    return f"{goes_on}, `trustedpods delete {name}` ends it, `trustedpods close {name}` gets the deposit back"
