# SPDX-License-Identifier: Apache-2.0
"""Whose pod is there: every order in which two clients with one key deploy, fail, serve and delete."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError
from trustedpods.publisher.core.ownership import (
    NO_POD,
    Told,
    Whose,
    may_give_notice,
    newer_won,
    whose,
)

REFUSED, SILENT, LIED = Refused("no"), NetworkFailure("gone"), RemoteProtocolError("lies")


@pytest.mark.parametrize(
    ("told", "found", "refused", "silent", "lied"),
    [
        (None, Whose.UNKNOWN, False, False, False),
        (NO_POD, Whose.NOBODYS, True, True, True),
        (Told("removing", 9), Whose.NOBODYS, True, True, True),
        (Told("failed", 5), Whose.NOBODYS, True, True, True),
        (Told("starting", 5), Whose.OURS, True, True, True),
        (Told("serving", 5, 5), Whose.OURS, False, False, True),
        (Told("failing", 5, 5), Whose.OURS, False, False, True),
        (Told("importing", 5, 3), Whose.OTHERS, False, False, False),
        (Told("serving", 5, 3), Whose.OTHERS, False, False, False),
        (Told("serving", 3, 3), Whose.OTHERS, False, False, False),
        (Told("starting", 3), Whose.OTHERS, False, False, False),
        (Told("starting", 9), Whose.NEWER, False, False, False),
        (Told("serving", 9, 9), Whose.NEWER, False, False, False),
        (Told("stopped", 9, 5), Whose.NEWER, False, False, False),
        (Told("a word of tomorrow", 9), Whose.NEWER, False, False, False),
    ],
)
def test_what_a_run_with_generations_4_and_5_may_do(
    told: Told | None, found: Whose, refused: bool, silent: bool, lied: bool
) -> None:
    assert whose(told, {4, 5}) is found
    may = [may_give_notice(told, {4, 5}, error) for error in (REFUSED, SILENT, LIED)]
    assert may == [refused, silent, lied]


@pytest.mark.parametrize(
    ("told", "may"),
    [
        (None, True),
        (NO_POD, True),
        (Told("starting", 5), True),
        (Told("serving", 5, 5), False),
        (Told("serving", 3, 3), False),
        (Told("starting", 9), False),
    ],
)
def test_a_run_that_goes_on_elsewhere_leaves_alone_what_answers_as_before(
    told: Told | None, may: bool
) -> None:
    assert may_give_notice(told, {4, 5}, SILENT, gives_up=True) is may


def test_a_run_that_sent_nothing_owns_nothing() -> None:
    assert whose(Told("serving", 3, 3), ()) is Whose.OTHERS
    assert not newer_won(REFUSED, Told("serving", 3, 3), ())


@pytest.mark.parametrize("rule", ["generation", "statement-generation"])
def test_a_refusal_as_too_old_is_a_loss_whatever_is_there(rule: str) -> None:
    assert newer_won(Refused("no", rule=rule), None, {5})


@dataclass
class Model:
    """A provider's record of one name, as its lifecycle has it: a failed update goes back to what ran."""

    phase: str = "none"
    generation: int = -1
    who: str = ""
    before: tuple[str, int] | None = None
    served: int | None = None

    def deploy(self, who: str, generation: int) -> None:
        if generation <= self.generation:
            return
        if self.phase != "serving":
            self.before = self.before if self.phase in ("received", "importing") else None
        else:
            self.before = (self.who, self.served or 0)
        if self.phase in ("none", "gone", "failed"):
            self.served = None
        self.phase, self.generation, self.who = "received", generation, who

    def serve(self) -> None:
        if self.phase in ("received", "importing"):
            rolled_back = self.phase == "importing" and self.served is not None
            self.served = self.served if rolled_back else self.generation
            self.phase, self.before = "serving", None

    def fail(self) -> None:
        if self.phase == "received":
            if self.before is None:
                self.phase = "failed"
            else:
                self.who, self.phase, self.before = self.before[0], "importing", None

    def delete(self, generation: int) -> None:
        if self.phase not in ("none", "gone", "failed") and generation > self.generation:
            self.phase, self.generation = "gone", generation

    @property
    def told(self) -> Told:
        return NO_POD if self.phase == "none" else Told(self.phase, self.generation, self.served)


STEPS = st.sampled_from(["deploy laptop", "deploy ci", "late laptop", "late ci", "serve", "fail", "delete"])


@given(st.lists(STEPS, max_size=12), st.sampled_from([REFUSED, SILENT, LIED]))
def test_nobody_gives_notice_on_a_pod_of_somebody_else(steps: list[str], error: Exception) -> None:
    """*late*: a request that was made before the last one and arrives after it. A run is one deploy."""
    model = Model()
    last: dict[str, int] = {}
    for now, step in enumerate(steps):
        verb, _, who = step.partition(" ")
        generation = 10 * now - 15 if verb == "late" else 10 * now
        if verb in ("deploy", "late"):
            model.deploy(who, generation)
            last[who] = generation
        elif verb == "delete":
            model.delete(generation)
        else:
            getattr(model, verb)()
        for client, sent in last.items():
            stands = model.phase in ("received", "importing", "serving")
            if stands and model.who != client:
                assert not may_give_notice(model.told, {sent}, error), (model, client)
            if not stands:
                assert may_give_notice(model.told, {sent}, error)
