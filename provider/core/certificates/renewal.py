# SPDX-License-Identifier: Apache-2.0
"""The life of the provider's certificate: from state and event to state and what is done next. Pure.

There is always exactly one command. The new state is written down before it is carried out, so that a kill at
any point finds either the command or its result; each command may be repeated.
"""

from dataclasses import replace

from trustedpods.provider.core.certificates.types import (
    AccountOpened,
    AskSuggestion,
    CommandFailed,
    FailureKind,
    FinalizeOrder,
    HeldCertificate,
    KeyLost,
    OpenAccount,
    OrderStage,
    PendingOrder,
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

WEEK_S = 7 * 86400

ORDERS_A_WEEK = 20
"""Orders of all outcomes. Let's Encrypt takes 300 in three hours, others fewer; more than three failures a
day tell nobody anything new."""

CERTIFICATES_A_WEEK = 4
"""Let's Encrypt gives five a week for the same names: one is left to whoever must order by hand."""

FIRST_RETRY_S = 300
"""Doubled by each failure in a row. Let's Encrypt takes five failed proofs an hour: these are four."""

LONGEST_RETRY_S = 6 * 3600
"""A short-lived certificate (six days) has eight such tries between its renewal and its end."""

LONGEST_WAIT_S = WEEK_S
"""What an authority may make us wait, and a clock that was wrong: the longest limit of Let's Encrypt's."""

LONGEST_SUGGESTION_S = 86400
"""How seldom an authority is asked when to renew, whatever it says: so a revocation is heard of in a day."""

SHORTEST_SUGGESTION_S = 3600
"""How soon it is asked again, whatever it says: one that says "at once" would be asked without any pause."""

ORDER_KEPT_S = 6 * 86400
"""Let's Encrypt forgets an order after seven days; one that got nowhere in six is given up."""

LONGEST_SLEEP_S = 3600
"""How long nothing is looked at: a clock that was set right, or a machine that slept, is seen within it."""

_UNSURE = frozenset({OrderStage.OPENING, OrderStage.PLACING})
"""Stages of an order that has no URL: it cannot be gone on with."""


def step(
    state: RenewalState, event: RenewalEvent, names: tuple[str, ...]
) -> tuple[RenewalState, RenewalCommand]:
    """What follows from *event*; *names* are those that the certificate is to be for."""
    changed = _changed(_with_sane_times(state, event.at), event, names)
    return _next(changed, event.at, names)


def at_directory(state: RenewalState, directory: str) -> RenewalState:
    """What is remembered of the authority at *directory*: nothing, if *state* is about another.

    Else a certificate of an authority for tests would be kept for its whole life, and a mistyped directory's
    pauses would go on.
    """
    return state if state.directory == directory else RenewalState(directory=directory)


def renewal_due(held: HeldCertificate) -> int:
    """When a certificate is to be renewed: at two thirds of its life, or earlier if its authority says so."""
    life = held.not_after - held.not_before
    own = held.not_before + life * 2 // 3
    return own if held.suggested is None else min(own, held.suggested)


def _with_sane_times(state: RenewalState, now: int) -> RenewalState:
    """Without what is over, and without a future that a wrong clock wrote down."""
    held = state.held
    if held is not None:
        held = replace(held, ask_at=min(held.ask_at, now + LONGEST_SUGGESTION_S))
    order = state.order
    if order is not None:
        order = replace(order, begun=min(order.begun, now))
        if now - order.begun > ORDER_KEPT_S:
            order = None
    return replace(
        state,
        held=held,
        order=order,
        wait_until=min(state.wait_until, now + LONGEST_WAIT_S),
        orders=_of_last_week(state.orders, now),
        issued=_of_last_week(state.issued, now),
    )


def _of_last_week(times: tuple[int, ...], now: int) -> tuple[int, ...]:
    return tuple(min(at, now) for at in times if at > now - WEEK_S)


def _changed(state: RenewalState, event: RenewalEvent, names: tuple[str, ...]) -> RenewalState:
    match event:
        case Woken():
            changed = _resumed(state, names)
        case KeyLost():
            changed = _resumed(replace(state, held=None), names)
        case AccountOpened():
            changed = _sent(state, event.at)
        case Placed():
            changed = _forward(state, OrderStage.PROVING, event.url)
        case Proven():
            changed = _forward(state, OrderStage.FINALIZING)
        case Stored():
            changed = _stored(state, event)
        case Suggested():
            soonest, latest = event.at + SHORTEST_SUGGESTION_S, event.at + LONGEST_SUGGESTION_S
            changed = _told(state, event.renew_at, min(max(event.ask_at, soonest), latest))
        case CommandFailed():
            changed = _failed(state, event)
    return changed


def _resumed(state: RenewalState, names: tuple[str, ...]) -> RenewalState:
    """An order that may not have reached the authority, or is for other names, is no longer of use.

    The first is a failure like any other: what ended us may do so again, and each time an order would count.
    """
    order = state.order
    if order is None:
        return state
    if order.stage in _UNSURE:
        failures = state.failures + 1
        until = max(state.wait_until, order.begun + _pause(failures))
        told = "the daemon ended while it placed an order"
        return replace(state, order=None, failures=failures, wait_until=until, problem=told)
    return state if order.names == names else replace(state, order=None)


def _pause(failures: int) -> int:
    return min(FIRST_RETRY_S << min(failures - 1, 16), LONGEST_RETRY_S)


def _sent(state: RenewalState, now: int) -> RenewalState:
    """From here on the order counts, whatever becomes of it."""
    if state.order is None:
        return state
    return replace(_forward(state, OrderStage.PLACING), orders=(*state.orders, now))


def _stored(state: RenewalState, event: Stored) -> RenewalState:
    held = HeldCertificate(event.names, event.not_before, event.not_after)
    issued = (*state.issued, event.at)
    return replace(state, held=held, order=None, failures=0, wait_until=0, problem="", issued=issued)


def _forward(state: RenewalState, stage: OrderStage, url: str | None = None) -> RenewalState:
    """The order got further. Where the clock jumped meanwhile it may have been given up.

    Failures count on: an order that is always placed and never proven must not begin their pauses anew.
    """
    order = state.order
    if order is None:
        return state
    return replace(state, order=replace(order, stage=stage, url=order.url if url is None else url))


def _told(state: RenewalState, renew_at: int | None, ask_at: int) -> RenewalState:
    held = state.held
    return state if held is None else replace(state, held=replace(held, suggested=renew_at, ask_at=ask_at))


def _failed(state: RenewalState, event: CommandFailed) -> RenewalState:
    order, held = state.order, state.held
    said = min(event.retry_at, event.at + LONGEST_WAIT_S)
    if order is None:  # it was a question about what is held, and is no trouble of ours
        suggested = None if held is None else held.suggested
        return _told(state, suggested, max(event.at + LONGEST_SLEEP_S, said))
    failures = state.failures + 1
    if event.kind is FailureKind.LOST or order.stage in _UNSURE:
        order = None
    return replace(
        state,
        order=order,
        failures=failures,
        wait_until=max(event.at + _pause(failures), said),
        problem=event.problem,
    )


def _next(state: RenewalState, now: int, names: tuple[str, ...]) -> tuple[RenewalState, RenewalCommand]:
    order, held = state.order, state.held
    if order is not None:
        if now < state.wait_until:
            return state, _wait(now, state.wait_until)
        return state, _command(order)
    wanted_at = now if held is None or held.names != names else renewal_due(held)
    if wanted_at <= now:
        earliest = _earliest(state)
        if earliest <= now:
            order = PendingOrder(names, now)
            return replace(state, order=order), _command(order)
        wanted_at = earliest
    if held is not None and now < held.not_after and held.names == names:
        if held.ask_at <= now:
            return state, AskSuggestion()
        wanted_at = min(wanted_at, held.ask_at)
    return state, _wait(now, wanted_at)


def _command(order: PendingOrder) -> RenewalCommand:
    match order.stage:
        case OrderStage.OPENING:
            return OpenAccount()
        case OrderStage.PLACING:
            return PlaceOrder(order.names)
        case OrderStage.PROVING:
            return ProveNames(order.url)
        case OrderStage.FINALIZING:
            return FinalizeOrder(order.url)


def _earliest(state: RenewalState) -> int:
    """From when on another order may be placed."""
    limits = ((state.orders, ORDERS_A_WEEK), (state.issued, CERTIFICATES_A_WEEK))
    return max(state.wait_until, *(_room_at(times, most) for times, most in limits))


def _room_at(times: tuple[int, ...], most: int) -> int:
    return sorted(times)[-most] + WEEK_S if len(times) >= most else 0


def _wait(now: int, until: int) -> WaitUntil:
    return WaitUntil(min(until, now + LONGEST_SLEEP_S))
