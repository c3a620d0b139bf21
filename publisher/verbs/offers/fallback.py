# SPDX-License-Identifier: Apache-2.0
"""A provider that failed in the middle of a deploy is left behind, and the next one that fits is tried.

All that counts is on the chain: a deploy that is killed at any step and repeated finds the channels as they
are there, goes on where one is open, and takes any provider where each of them has notice.
"""

from collections.abc import Sequence
from dataclasses import replace

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.errors import InsufficientFunds, TrustedPodsError
from trustedpods.protocol.ids import Address, channel_hex
from trustedpods.publisher.core.channels.fallback import MAX_LEFT, another_may_take, is_left
from trustedpods.publisher.core.select import Choice, Selection
from trustedpods.publisher.journal import Journal, Step
from trustedpods.publisher.market.candidates import provider_name
from trustedpods.publisher.market.locations import PodLocation, unlisted_open
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.payment.channel import ChannelPayment
from trustedpods.publisher.results.deployed import DeployProgress, LeftProvider
from trustedpods.publisher.results.errors import ErrorReport

_ONLY_THIS = "no other provider was tried, as this one was named"


class Fallback:
    """What one deploy left behind, and whether it may leave one more.

    *choice* names a provider by hand, *advises* whether it was a person who did, by a flag.
    """

    def __init__(
        self,
        choice: Choice | None,
        name: str,
        progress: DeployProgress,
        journal: Journal,
        *,
        advises: bool = True,
    ) -> None:
        self._choice, self._name, self._advises = choice, name, advises
        self._progress, self._journal = progress, journal
        self._left: set[tuple[Address, int]] = set()
        self._offers, self._step, self._lives_there = 0, Step("select", 0.0), False
        self._payment: ChannelPayment | None = None
        self._last: TrustedPodsError | None = None

    def without_left(self, selection: Selection, step: Step, *, lives_there: bool) -> Selection:
        """Those of *selection* that did not fail in the middle; *step* takes those that do not answer.

        Raises what the last one failed with when none is left.
        """
        self._payment = None
        offers = tuple(
            offer for offer in selection.offers if (offer.row.owner, offer.row.daemon) not in self._left
        )
        self._offers, self._step, self._lives_there = len(offers), step, lives_there
        if not offers and self._last is not None:
            taken = (
                f"another client took that channel: `trustedpods status {self._name}` says what serves there"
            )
            none = "no other provider comes next: `trustedpods deploy` again tries all of them anew"
            self._last.hint = taken if lives_there else none
            raise self._last
        return replace(selection, offers=offers)

    @property
    def may_leave(self) -> bool:
        """Whether another provider would be tried after the one that was reached, as far as rows tell."""
        if self._choice is not None or self._lives_there or len(self._left) >= MAX_LEFT:
            return False
        tried = self._step.facts.get("tried")
        failed = len(tried) if isinstance(tried, list) else 0
        return self._offers - failed > 1

    def hands_over(self, payment: ChannelPayment) -> None:
        """From here on money may move, by *payment*."""
        self._payment = payment

    def go_on(self, error: TrustedPodsError) -> None:
        """Leave the provider that failed with *error* behind; raises *error* where it must end with it."""
        money, payment = self._progress.money, self._payment
        left = payment is not None and is_left(None if money is None else money.state, sent=payment.ours)
        if not another_may_take(error):
            if isinstance(error, InsufficientFunds):
                self._tell_left_deposits(error)
            raise error
        if not (left and self.may_leave):
            self._advise(error, left=left)
            raise error
        self._leave(error)

    def _leave(self, error: TrustedPodsError) -> None:
        one = self._progress.leave(ErrorReport.of(error))
        self._left.add((one.provider.owner, one.provider.daemon))
        self._last = error
        self._journal.show.warning(f"{error}")
        text = f"{one.provider.name} is left behind{_owes(one)}; on with the next provider"
        self._journal.event("next-provider", text, channel=channel_hex(one.channel))

    def _tell_left_deposits(self, error: InsufficientFunds) -> None:
        """What was paid already, and is on its way back, may be what is missing now."""
        names = [one.provider.name for one in self._progress.left if one.money.state == "unlocking"]
        if names:
            back = f"what was paid to {', '.join(names)} comes back when its notice is over"
            error.hint = f"{error.hint}; {back}" if error.hint else back

    def _advise(self, error: TrustedPodsError, *, left: bool) -> None:
        """Nothing else is tried where a provider was named: the commands that would are said."""
        if self._payment is None or self._choice is None or self._lives_there or not self._advises:
            return
        said = f"{_ONLY_THIS}: `trustedpods deploy` without --provider takes another"
        if not left:
            said = (
                f"{_ONLY_THIS}: `trustedpods deploy` again goes on there; to take another, first "
                f"`trustedpods close {self._name}`, then `trustedpods deploy` without --provider"
            )
        error.hint = f"{error.hint}; {said}" if error.hint else said


def _owes(left: LeftProvider) -> str:
    """Of a channel that stands there still: that it comes back, and by which command."""
    if left.money.state != "unlocking":
        return ""
    channel = channel_hex(left.channel)
    return (
        f" with a deposit whose notice runs: `trustedpods watch` closes its channel {channel} then, "
        f"or `trustedpods close {channel}`"
    )


async def tell_unlisted(
    account: MarketAccount,
    name: str,
    rows: Sequence[RegistryRow],
    known: Sequence[PodLocation],
    journal: Journal,
) -> None:
    """Say which channel of the pod *name* stands at a provider without a row: the pod is deployed past it."""
    for one in await unlisted_open(account, name, rows, known):
        journal.show.warning(
            f"{provider_name(one.row)} is no longer in the registry, and its meter may still claim from the "
            f"channel of {name} there: `trustedpods close {channel_hex(one.ref.channel)}` takes it back"
        )
