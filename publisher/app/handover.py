# SPDX-License-Identifier: Apache-2.0
"""Pay and send, through outages; and when it comes to nothing, get the money back."""

from contextlib import AsyncExitStack

import trio

from trustedpods.contracts.rows import RegistryRow
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.net import Host
from trustedpods.publisher.app import channel, facts, refund
from trustedpods.publisher.app.channel import Payment
from trustedpods.publisher.app.desk import Desk
from trustedpods.publisher.app.find import Place
from trustedpods.publisher.app.parcel import make_bundle, make_pieces
from trustedpods.publisher.app.provision import Confirmed, Provisioning
from trustedpods.publisher.app.reach import provider_name
from trustedpods.publisher.images.oci import VerifiedBlob
from trustedpods.publisher.journal import Journal, Step
from trustedpods.publisher.pod import Pod
from trustedpods.publisher.session import Session, open_session
from trustedpods.publisher.upload import Traffic

MAX_OUTAGES = 5
"""Outages of one deploy; after that the line is not worth waiting for."""

RETRY_S = 1.0


class HandOver:
    """One pod to one provider."""

    def __init__(
        self,
        desk: Desk,
        pod: Pod,
        verified: dict[str, VerifiedBlob],
        payment: Payment,
        place: Place,
        patience_s: float,
        journal: Journal,
    ) -> None:
        self._patience_s = patience_s
        self._desk = desk
        self._pod = pod
        self._payment = payment
        self._place = place
        self._journal = journal
        self._traffic = Traffic()
        self._bundle = make_bundle(pod, desk.publisher)
        self._pieces = make_pieces(verified, desk.publisher)

    async def run(self, host: Host, session: Session) -> None:
        """Pay and send side by side until the pod serves; when it fails, see to the money."""
        name = self._pod.name
        self._journal.if_interrupted = (
            f"the provider goes on with what it has; `trustedpods deploy` again goes on from there, "
            f"`trustedpods delete {name}` ends it, `trustedpods close {name}` gets the deposit back"
        )
        try:
            confirmed = await self._persist(host, session)
        except TrustedPodsError as error:
            error.where = error.where or provider_name(self._place.row)
            self._journal.result["money"] = await refund.rescue(
                self._desk, self._payment, name, error, self._journal
            )
            raise
        self._journal.result |= facts.statement_facts(confirmed.statement)
        for endpoint in confirmed.statement.endpoints:
            self._journal.event("serving", f"{name} serves at {endpoint.url}", url=endpoint.url)

    async def _persist(self, host: Host, session: Session) -> Confirmed:
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
        there = await channel.look(self._desk, self._place.ref) if self._payment.ours else self._place.channel
        terms: Terms = self._payment.terms if there is None else there.terms

        async def pay(step: Step) -> None:
            await channel.ensure(self._desk, self._payment, there, step, self._journal)

        provisioning = Provisioning(
            session, self._place.ref, self._bundle, self._pieces, terms, self._journal
        )
        try:
            return await provisioning.run(pay)
        finally:
            self._traffic.add(provisioning.traffic)
            self._journal.result["sent"] = self._traffic.as_json()

    async def _reconnect(
        self, stack: AsyncExitStack, host: Host, session: Session, error: NetworkFailure
    ) -> Session:
        """Dial and attest again while patience lasts; then raise *error*."""
        policy = self._desk.window.policy(session.row.trust)
        deadline = trio.current_time() + self._patience_s
        while True:
            await trio.sleep(RETRY_S)
            try:
                row = await self._row(session.row)
                again = open_session(host, self._desk.publisher, row, policy)
                session = await stack.enter_async_context(again)
            except NetworkFailure:
                if trio.current_time() > deadline:
                    raise error from None
                continue
            if session.binding.meter != address_bytes(self._payment.meter):
                raise Refused("the provider restarted its machine; its meter is another now", rule="meter")
            return session

    async def _row(self, known: RegistryRow) -> RegistryRow:
        """The provider's row as it stands now: a restart may have moved its endpoint."""
        rows = await self._desk.window.rows()
        same = (row for row in rows if (row.owner, row.daemon) == (known.owner, known.daemon))
        return next(same, known)
