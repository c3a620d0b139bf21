# SPDX-License-Identifier: Apache-2.0
"""After a verb failed or went well: may the pod's channel be given notice, or is it somebody else's by now?

The provider is asked each time, as the answer of a minute ago may have been overtaken.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import trio

from trustedpods.protocol.errors import Locked, Refused, TrustedPodsError
from trustedpods.protocol.ids import PodRef
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.channels.fallback import as_opened
from trustedpods.publisher.core.ownership import (
    GENERATION_RULE,
    Told,
    Whose,
    keeps_text,
    may_give_notice,
    newer_won,
    whose,
)
from trustedpods.publisher.delivery.standing import told_by
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session
from trustedpods.publisher.payment import channel
from trustedpods.publisher.payment.channel import ChannelPayment
from trustedpods.publisher.payment.refund import Kept
from trustedpods.publisher.state.pod_lock import pod_lock

TURN_LOOK_S = 0.2
"""Between two looks at whether another verb has let the pod go; a look opens a file."""

ASK_LIMIT_S = 10.0
"""For a provider to say what is there, dialled once more where the line is gone."""


@dataclass(slots=True)
class Aftermath:
    """What a run asks about its pod when it is over.

    `generations` are those of its requests, `life` is the transaction that opened its channel (None where
    that is not known), `redial` opens another session (None: there is no second try). `gives_up`: see
    `may_give_notice`; then `payment` is what its channel was opened with.
    """

    account: MarketAccount
    ref: PodRef
    session: Session
    generations: Collection[int]
    life: bytes | None
    redial: Callable[[], AbstractAsyncContextManager[Session]] | None = None
    told: Told | None = None
    gives_up: bool = False
    payment: ChannelPayment | None = None
    _fresh: bool = False

    async def ask(self) -> Told | None:
        """What the provider says is there now; None where it cannot be asked."""
        self.told, self._fresh = None, True
        with trio.move_on_after(ASK_LIMIT_S), suppress(TrustedPodsError):
            self.told = await told_by(self.session, self.ref)
            if self.told is None and self.redial is not None:
                async with self.redial() as again:
                    self.told = await told_by(again, self.ref)
        return self.told

    async def kept(self, error: TrustedPodsError | None) -> Kept | None:
        """Why the channel is to be left alone; None where it may be given notice.

        Asks first, unless `ask` was called just before.
        """
        told = self.told if self._fresh else await self.ask()
        self._fresh = False
        found = whose(told, self.generations)
        if not may_give_notice(told, self.generations, error, gives_up=self.gives_up):
            return Kept(keeps_text(found), close=found is Whose.UNKNOWN)
        opened = (await self.account.chain.channel_events(self.ref.owner, self.ref.channel)).open_tx
        if self.life is None:
            return Kept("who opened it is not known", close=True)
        if opened is not None and opened != self.life:
            return Kept(keeps_text(Whose.NOBODYS), close=False)
        if found is Whose.UNKNOWN and not await self._as_opened():
            return Kept(f"{keeps_text(found)}, and the channel was used since it was opened", close=True)
        return None

    async def _as_opened(self) -> bool:
        """Of a provider that cannot be asked: whether the chain too shows no trace of somebody else's pod."""
        live, payment = await channel.look(self.account, self.ref), self.payment
        return live is None or (payment is not None and as_opened(live, payment.amount, payment.terms))

    def lost(self, error: TrustedPodsError, name: str) -> Locked | None:
        """The error of a run that lost against a newer one, after `ask`; None where it did not."""
        return lost_to_newer(error, name) if newer_won(error, self.told, self.generations) else None


def lost_to_newer(error: TrustedPodsError, name: str) -> Locked:
    """A later request for the pod was taken: whatever is there is not ours to end."""
    return Locked(
        f"a newer deploy of {name!r} won, with the same key from elsewhere; nothing of it was touched",
        where=error.where,
        rule="newer",
        hint=f"`trustedpods status {name}` says what serves; if nobody else deploys, this clock is behind",
    )


@contextmanager
def newer_is_locked(name: str) -> Iterator[None]:
    """In the block a provider's refusal of an older request becomes `Locked`."""
    try:
        yield
    except Refused as error:
        if error.rule != GENERATION_RULE:
            raise
        raise lost_to_newer(error, name) from error


@contextmanager
def alone(account: MarketAccount, name: str, verb: str, beside: Collection[str] = ()) -> Iterator[None]:
    """No other deploy, delete or close of the pod runs on this machine meanwhile, or `Locked` is raised.

    Verbs of *beside* may: see `pod_lock`.
    """
    file = account.market.file
    scope = f"{file.chain_id} {file.payments} {account.publisher.address}".lower()
    with pod_lock(state_dir(), scope, name, verb, beside):
        yield


@asynccontextmanager
async def in_turn(
    account: MarketAccount, name: str, verb: str, journal: Journal, beside: Collection[str] = ()
) -> AsyncIterator[None]:
    """As `alone`, once whoever has the pod now lets it go; `Locked` where it does not within `turn_s`."""
    deadline, told = trio.current_time() + account.timing.turn_s, ""
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(alone(account, name, verb, beside))
                break
            except Locked as error:
                if trio.current_time() >= deadline:
                    raise
                if error.what != told:
                    told = error.what
                    journal.event("turn", f"{told}; waiting until it has ended")
            await trio.sleep(TURN_LOOK_S)
        yield
