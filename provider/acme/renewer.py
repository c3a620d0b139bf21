# SPDX-License-Identifier: Apache-2.0
"""Carries out what `core.certificates` decides: orders, proves, stores, waits. One task of the daemon.

Where things stand is written down before anything is done, so that a kill at any point is made up for.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar, assert_never

import trio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.provider.acme.authority import CALL_WITHIN_S, AcmeAccount, NameProof, OrderView
from trustedpods.provider.acme.failures import OrderFailure
from trustedpods.provider.acme.files import OrderFiles
from trustedpods.provider.acme.proofs import Proofs, taken_back
from trustedpods.provider.acme.settings import AcmeSettings
from trustedpods.provider.core.certificates.renewal import at_directory, step
from trustedpods.provider.core.certificates.types import (
    AccountOpened,
    AskSuggestion,
    CommandFailed,
    FailureKind,
    FinalizeOrder,
    KeyLost,
    OpenAccount,
    Placed,
    PlaceOrder,
    Proven,
    ProveNames,
    RenewalCommand,
    RenewalEvent,
    RenewalState,
    Stored,
    Suggested,
    WaitUntil,
    Woken,
)
from trustedpods.provider.facade.certificates import as_read, certificate_of, key_pem, request, utc

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

JUDGED_WITHIN_S = 180.0
"""How long an authority may take to look at a proof, or to make a certificate; then it is asked later."""

POLL_S = 2.0
"""Between two looks at an order."""


MOST_CALLS_LEFT = 8
"""Threads that may hang at an authority which answers a byte now and then; the daemon's others stay free."""


@dataclass(frozen=True, slots=True)
class RenewalPlace:
    """What one provider's certificate is made from.

    `fixed_key` is the key that every certificate must be for (a sealed provider's attested one), else each
    has a new one. `changed` is called after a new certificate was stored, `clock` says Unix seconds.
    """

    settings: AcmeSettings
    domain: str
    files: OrderFiles
    proofs: Proofs
    fixed_key: ec.EllipticCurvePrivateKey | None
    clock: Callable[[], float]
    changed: Callable[[], Awaitable[None]]

    @property
    def names(self) -> tuple[str, ...]:
        """What the certificate is for."""
        return self.settings.names_for(self.domain)


class AcmeRenewal:
    """The certificate of one provider, for as long as the daemon runs."""

    def __init__(
        self, place: RenewalPlace, poll_s: float = POLL_S, call_within_s: float = CALL_WITHIN_S
    ) -> None:
        self._place = place
        self._poll_s = poll_s
        self._call_within_s = call_within_s
        self._calls = trio.CapacityLimiter(MOST_CALLS_LEFT)
        self._authority: AcmeAccount | None = None
        self.state = RenewalState()

    async def run(self) -> None:
        """For ever; NoContext if files cannot be read or written."""
        command = await self.begin()
        while True:
            command = await self.carry_on(command)

    async def begin(self) -> RenewalCommand:
        """What is to be done first: where an earlier daemon stood, if its certificate is still of use."""
        kept = await _in_thread(self._place.files.state)
        self.state = at_directory(kept, self._place.settings.directory)
        if self.state.held is not None and not await _in_thread(self._is_usable):
            return await self._take(KeyLost(self._now()))
        return await self._take(Woken(self._now(), self._place.names))

    async def carry_on(self, command: RenewalCommand) -> RenewalCommand:
        """Carry out one command; the next one."""
        try:
            event = await self._carry_out(command)
        except OrderFailure as failure:
            self._authority = None  # it may have forgotten the account, or moved
            retry = self._now() + failure.retry_s if failure.retry_s else 0
            event = self._failed(command, failure, failure.kind, retry)
        except TrustedPodsError as error:
            event = self._failed(command, error, FailureKind.LATER, 0)
        return await self._take(event)

    async def _take(self, event: RenewalEvent) -> RenewalCommand:
        state, command = step(self.state, event, self._place.names)
        if state != self.state:
            await _in_thread(partial(self._place.files.keep_state, state))
            self.state = state
        return command

    def _now(self) -> int:
        return int(self._place.clock())

    def _failed(
        self, command: RenewalCommand, error: TrustedPodsError, kind: FailureKind, retry_at: int
    ) -> CommandFailed:
        told = f"{error} ({error.hint})" if error.hint else str(error)
        level = logging.INFO if isinstance(command, AskSuggestion) else logging.WARNING
        _log.log(level, "the certificate of %s: %s", self._place.domain, told)
        return CommandFailed(self._now(), kind, told, retry_at)

    async def _carry_out(self, command: RenewalCommand) -> RenewalEvent:
        match command:
            case WaitUntil():
                await trio.sleep(max(0.0, command.at - self._place.clock()))
                return Woken(self._now(), self._place.names)
            case OpenAccount():
                await self._opened()
                return AccountOpened(self._now())
            case PlaceOrder():
                return await self._place_order(command.names)
            case ProveNames():
                return await self._prove(command.url)
            case FinalizeOrder():
                return await self._finalize(command.url)
            case AskSuggestion():
                chain = await _in_thread(self._place.files.certificate)
                found = await self._asked(partial((await self._opened()).suggestion, chain))
                return Suggested(self._now(), *found)
            case _ as never:
                assert_never(never)

    async def _opened(self) -> AcmeAccount:
        if self._authority is None:
            key, root = await _in_thread(self._place.files.account_key), self._place.settings.trusted_root
            authority = AcmeAccount(self._place.settings.directory, key, Path(root) if root else None)
            await self._asked(partial(authority.open, tuple(self._place.settings.contact)))
            self._authority = authority
        return self._authority

    async def _asked(self, call: Callable[[], _T]) -> _T:
        """The authority's answer. Who is left behind ends by itself, or is one of a few."""
        try:
            with trio.fail_after(self._call_within_s):
                return await _in_thread(call, self._calls)
        except trio.TooSlowError:
            raise OrderFailure(
                f"the authority has not answered within {self._call_within_s:g} s",
                FailureKind.LATER,
                rule="acme",
                where=self._place.settings.directory,
            ) from None

    async def _place_order(self, names: Sequence[str]) -> RenewalEvent:
        authority = await self._opened()
        if self._place.fixed_key is None:
            await _in_thread(self._place.files.new_order_key)
        url = await self._asked(partial(authority.place, names))
        _log.info("a certificate for %s is ordered: %s", ", ".join(names), url)
        return Placed(self._now(), url)

    async def _prove(self, url: str) -> RenewalEvent:
        authority, kind = await self._opened(), self._place.proofs.kind
        order = await self._asked(partial(authority.order, url))
        names = self._place.names
        if len(order.authorizations) > len(names):
            told = f"the authority asks for {len(order.authorizations)} proofs of {len(names)} names"
            raise OrderFailure(told, FailureKind.LOST, rule="acme", where=url)
        asked = [
            await self._asked(partial(authority.proof, one, kind, names)) for one in order.authorizations
        ]
        waiting = [one for one in asked if one.status == "pending"]
        try:
            await self._place.proofs.show(waiting)
            for one in waiting:
                await self._asked(partial(authority.say_ready, one.url, kind))
            await self._judged(authority, url, asked)
        finally:
            with trio.CancelScope(shield=True) as scope:
                limit = self._place.settings.hook_limit_s
                scope.deadline = trio.current_time() + limit
                left = f"it was not taken back within {limit} s"  # where the scope ends it
                left = await taken_back(self._place.proofs, waiting)
            if left:
                _log.warning("a proof stays where it was shown: %s", left)
        return Proven(self._now())

    async def _judged(self, authority: AcmeAccount, url: str, asked: Sequence[NameProof]) -> None:
        """The authority has looked at every name; OrderFailure (`lost`) if it did not believe one."""

        def over(order: OrderView) -> bool:
            return order.status != "pending"

        order = await self._order_when(authority, url, over)
        if order.status != "invalid":
            return
        kind, names = self._place.proofs.kind, self._place.names
        found = [await self._asked(partial(authority.proof, one.url, kind, names)) for one in asked]
        told = [f"{one.name}: {one.problem}" for one in found if one.problem] or [order.problem]
        raise OrderFailure(
            f"the authority did not see the proof of {'; '.join(told)}",
            FailureKind.LOST,
            rule="acme",
            where=self._place.settings.directory,
            hint=_PROOF_HINTS[kind],
        )

    async def _order_when(
        self, authority: AcmeAccount, url: str, true: Callable[[OrderView], bool]
    ) -> OrderView:
        with trio.move_on_after(JUDGED_WITHIN_S):
            while not true(  # noqa: ASYNC110 - an authority does not call back
                order := await self._asked(partial(authority.order, url))
            ):
                await trio.sleep(self._poll_s)
            return order
        raise OrderFailure(
            f"the authority has not decided within {JUDGED_WITHIN_S:g} s",
            FailureKind.LATER,
            rule="acme",
            where=url,
        )

    async def _finalize(self, url: str) -> RenewalEvent:
        authority, names = await self._opened(), self._place.names
        key = self._place.fixed_key
        if key is None:
            key = await _in_thread(self._place.files.order_key)
        order = await self._asked(partial(authority.order, url))
        if order.status == "ready":
            await self._asked(partial(authority.finalize, url, request(names, key)))
            order = await self._order_when(authority, url, lambda seen: seen.status in {"valid", "invalid"})
        if order.status != "valid":
            told = f"the authority makes no certificate of this order: it is {order.status} {order.problem}"
            raise OrderFailure(told.strip(), FailureKind.LOST, rule="acme", where=url)
        chain = await self._asked(partial(authority.certificate, url))
        try:
            checked = certificate_of(chain, key_pem(key), names, utc(self._place.clock()))
        except Refused as bad:
            raise OrderFailure(
                f"the certificate that came is of no use: {bad}", FailureKind.LOST, rule="acme"
            ) from None
        kept = checked.pem  # an attested key stays in memory: who reads the file has it
        if self._place.fixed_key is not None:
            kept, _ = as_read(chain, key_pem(key))
        await _in_thread(partial(self._place.files.keep_certificate, kept))
        leaf = x509.load_pem_x509_certificates(checked.pem)[0]
        await self._show(leaf)
        return Stored(
            self._now(),
            names,
            int(leaf.not_valid_before_utc.timestamp()),
            int(leaf.not_valid_after_utc.timestamp()),
        )

    async def _show(self, leaf: x509.Certificate) -> None:
        """The facade looks on a timer too: what it refuses now is no reason to order again."""
        _log.info("a certificate for %s until %s", self._place.domain, leaf.not_valid_after_utc)
        try:
            await self._place.changed()
        except TrustedPodsError as error:
            _log.warning("the new certificate is not shown yet: %s", error)

    def _is_usable(self) -> bool:
        """Whether the stored certificate is there, of our key, and for some names at all."""
        try:
            pem, fixed = self._place.files.certificate(), self._place.fixed_key
            certificate_of(pem, pem if fixed is None else key_pem(fixed), (), None)
        except Refused as bad:
            _log.warning("the stored certificate cannot be used: %s", bad)
            return False
        return True


_PROOF_HINTS = {
    "http-01": "port 80 of every name must lead to this facade from everywhere",
    "dns-01": "the zone's public servers must show _acme-challenge records soon after they are written",
}


async def _in_thread(call: Callable[[], _T], limiter: trio.CapacityLimiter | None = None) -> _T:
    """Left behind when the daemon stops: each ends by itself, and what was to be done is written down."""
    return await trio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=limiter)  # type: ignore[call-arg]  # old stubs
