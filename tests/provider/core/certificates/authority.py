# SPDX-License-Identifier: Apache-2.0
"""An authority and a clock for the pure core: orders, limits, revocations, outages and kills, by a seed."""

from dataclasses import dataclass, field
from random import Random

from trustedpods.provider.core.certificates.renewal import step
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

DAY = 86400
WEEK = 7 * DAY
NAMES = ("p.example", "*.p.example")


@dataclass
class Year:
    """Drives the core through time. After `most_failures` for one certificate the authority gives it."""

    random: Random
    life: int
    most_failures: int = 0
    kills: float = 0.0
    revocations: list[int] = field(default_factory=list)
    losses: list[int] = field(default_factory=list)
    now: int = 1_700_000_000
    state: RenewalState = field(default_factory=RenewalState)
    placed: list[int] = field(default_factory=list)
    issued: list[int] = field(default_factory=list)
    bare: list[int] = field(default_factory=list)
    """Times at which no valid certificate was held after the first one."""
    orders_done: set[str] = field(default_factory=set)
    steps: int = 0
    failed: int = 0
    revoked: bool = False
    revoked_at: list[tuple[int, int]] = field(default_factory=list)
    """When each revocation was, and when the next certificate came."""
    open_revocation: int | None = None

    def run(self, seconds: int) -> None:
        end = self.now + seconds
        command = self._feed(Woken(self.now, NAMES))
        while self.now < end:
            self.steps += 1
            if self.random.random() < self.kills:  # before the command, or after it and before its result
                if self.random.random() < 0.5:
                    self._carry_out(command)
                command = self._feed(Woken(self.now, NAMES))
                continue
            command = self._feed(self._carry_out(command))

    def _feed(self, event: RenewalEvent) -> RenewalCommand:
        self.state, command = step(self.state, event, NAMES)
        return command

    def _carry_out(self, command: RenewalCommand) -> RenewalEvent:
        if isinstance(command, WaitUntil):
            assert command.at > self.now, "a wait that is none turns for ever"
            self.now = command.at
            return self._wake()
        if isinstance(command, PlaceOrder):
            self.placed.append(self.now)
        self.now += self.random.randint(1, 30)
        if self.failed < self.most_failures and self.random.random() < 0.7:
            self.failed += 1
            kind = self.random.choice(list(FailureKind))
            retry = self.now + self.random.choice([0, 60, 3600]) if kind is FailureKind.RATE else 0
            return CommandFailed(self.now, kind, "no", retry)
        return self._answer(command)

    def _wake(self) -> RenewalEvent:
        held = self.state.held
        if held is not None and held.not_after <= self.now:
            self.bare.append(self.now)
        if self.losses and self.losses[0] <= self.now:
            self.losses.pop(0)
            return KeyLost(self.now)
        if self.revocations and self.revocations[0] <= self.now:
            self.revocations.pop(0)
            if held is not None:
                self.revoked, self.open_revocation = True, self.now
        return Woken(self.now, NAMES)

    def _answer(self, command: RenewalCommand) -> RenewalEvent:
        match command:
            case OpenAccount():
                return AccountOpened(self.now)
            case PlaceOrder():
                return Placed(self.now, f"https://ca.example/{len(self.placed)}")
            case ProveNames():
                return Proven(self.now)
            case FinalizeOrder():
                if (
                    command.url not in self.orders_done
                ):  # asked again, an authority shows the same certificate
                    self.orders_done.add(command.url)
                    self.issued.append(self.now)
                self.failed = 0
                self.revoked = False
                if self.open_revocation is not None:
                    self.revoked_at.append((self.open_revocation, self.now))
                    self.open_revocation = None
                return Stored(self.now, NAMES, self.now - 3600, self.now + self.life)
            case AskSuggestion():
                return Suggested(self.now, self.now - 1 if self.revoked else None, self.now + 6 * 3600)
            case WaitUntil():
                raise AssertionError("handled before")


def most_in_a_week(times: list[int]) -> int:
    return max((sum(start <= at < start + WEEK for at in times) for start in times), default=0)
