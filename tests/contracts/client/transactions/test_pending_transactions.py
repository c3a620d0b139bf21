# SPDX-License-Identifier: Apache-2.0
"""The rules of sending against a chain that reorganises, a node that forgets, and a client that dies."""

from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from trustedpods.contracts.client.client_limits import USUAL
from trustedpods.contracts.client.transactions.pending_transactions import (
    ADOPT_WITHIN_S,
    MAX_FORMS,
    MAX_RAISE,
    Call,
    Do,
    Fees,
    Final,
    Form,
    Included,
    Look,
    Outgoing,
    adoptable,
    decide,
    forgettable,
    gap_before,
    next_nonce,
    raised,
    sent_at,
    with_form,
)

NONCE_ATTEMPTS = 3
"""As often as the door tries. Behind a gap that it holds itself a foreign one may keep the next nonce."""

CALL = Call("0x" + "1" * 40, 0, b"", 21_000)
FEES = Fees(100, 10)


def form(number=1, fees=FEES, at=0.0):
    return Form(b"raw%d" % number, b"hash%d" % number, fees, at)


def out(nonce=5, intent=b"i", **fields):
    return Outgoing(nonce, intent, CALL, (form(),), **fields)


def look(now=1.0, head=100, count=5, settled=5, included=None):
    return Look(now, head, count, settled, included)


def included(block=100, canonical=True, tx_hash=b"hash1"):
    return Included(tx_hash, block, b"block", canonical)


def test_final_is_as_deep_as_asked_for():
    assert decide(out(), look(head=102, included=included(100)), 3)[1] is Do.WAIT
    done = included(100)
    assert decide(out(), look(head=103, included=done), 3)[1] == Final(done)


def test_what_fell_out_of_the_chain_goes_in_again_at_once():
    seen, _ = decide(out(sent=1.0), look(head=100, included=included(100)), 2)
    gone, step = decide(seen, look(now=1.1, included=None), 2)
    assert (gone.block, step) == (None, Do.RESEND)
    assert decide(seen, look(now=1.1, included=included(canonical=False)), 2)[1] is Do.RESEND


def test_the_same_bytes_go_in_again_after_a_while_and_when_nothing_is_known():
    assert decide(out(), look(), 0)[1] is Do.RESEND
    assert decide(out(sent=1.0), look(now=1.0 + USUAL.resend_every_s - 0.1), 0)[1] is Do.WAIT
    assert decide(out(sent=1.0), look(now=1.0 + USUAL.resend_every_s), 0)[1] is Do.RESEND
    assert decide(out(sent=9e9), look(now=1.0), 0)[1] is Do.RESEND  # the clock was put back


def test_only_what_is_first_in_line_is_raised():
    late = look(now=USUAL.stuck_after_s)
    assert decide(out(sent=USUAL.stuck_after_s), late, 0)[1] is Do.RAISE
    assert decide(out(nonce=6, sent=USUAL.stuck_after_s), late, 0)[1] is Do.WAIT
    full = replace(out(sent=USUAL.stuck_after_s), forms=tuple(form(n) for n in range(MAX_FORMS)))
    assert decide(full, late, 0)[1] is Do.WAIT


def test_a_nonce_is_given_up_only_after_it_is_final_and_was_looked_at_for_a_while():
    assert decide(out(), look(count=6, settled=5), 2)[1] is Do.WAIT
    first, step = decide(out(), look(now=1.0, count=6, settled=6), 2)
    assert step is Do.WAIT
    _, step = decide(first, look(now=1.0 + USUAL.gone_after_s, count=6, settled=6), 2)
    assert step is Do.GIVE_UP
    back, step = decide(first, look(now=2.0, included=included()), 2)
    assert (back.gone, step) == (None, Do.WAIT)


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.lists(st.integers(0, 10**13), max_size=12))
def test_raises_beat_what_nodes_ask_and_are_bounded(most, tip, market):
    fees = Fees(most + tip, tip)
    one = Outgoing(5, b"i", CALL, (form(fees=fees),))
    for price in market:
        new = raised(one, Fees(price, price // 7))
        if new is None:
            break
        last = one.newest.fees
        assert new.most * 10 > last.most * 11 - 10
        assert new.tip * 10 > last.tip * 11 - 10
        assert new.tip <= new.most <= MAX_RAISE * max(1, fees.most)
        one = with_form(one, form(len(one.forms) + 1, new))


@given(st.lists(st.integers(0, 20)), st.integers(0, 20))
def test_gaps_are_filled_first(taken, pending):
    nonce = next_nonce([out(n) for n in taken], pending)
    assert nonce >= pending
    assert nonce not in taken
    assert set(range(pending, nonce)) <= set(taken)


def test_what_nobody_waits_for_is_met_again_for_an_hour():
    one = out()
    assert adoptable([one], b"i", set(), 1.0) is one
    assert adoptable([one], b"other", set(), 1.0) is None
    assert adoptable([one], b"i", {one.id}, 1.0) is None
    assert adoptable([one], b"i", set(), ADOPT_WITHIN_S) is None


class World:
    """A chain, a node's pool, and a client that follows the rules; time goes on with every deed."""

    def __init__(self, finality):
        self.finality = finality
        self.blocks = [()]  # each a tuple of (nonce, hash); the first is the genesis block
        self.fork = 0
        self.pool = {}
        self.now = 0.0
        self.signed = 0
        self.deed_of = {}  # hash -> intent
        self.held = {}  # survives restarts
        self.seen = {}
        self.wanted = {}  # intent -> id that is waited for, or None after a restart
        self.done = set()

    # ---- the chain ----

    def count(self, upto=None):
        return sum(len(block) for block in self.blocks[:upto])

    def mine(self):
        block = []
        while (nonce := self.count() + len(block)) in self.pool:
            block.append((nonce, self.pool.pop(nonce)[0]))
        self.blocks.append(tuple(block))

    def reorg(self, depth, keep):
        depth = min(depth, self.finality, len(self.blocks) - 1)
        if not depth:
            return
        lost = [tx for block in self.blocks[-depth:] for tx in block]
        del self.blocks[-depth:]
        self.fork += 1
        if keep:
            self.pool |= {nonce: (tx_hash, 10**9) for nonce, tx_hash in lost}
        self.blocks += [()] * (depth + 1)

    def foreign(self):
        nonce = self.count()
        while nonce in self.pool:
            nonce += 1
        self.pool[nonce] = (b"foreign%d" % self.now, 10**9)

    def take_in(self, nonce, tx_hash, most):
        """The answer of a node: known, taken or in."""
        if nonce < self.count():
            return "taken"
        there = self.pool.get(nonce)
        if there is not None and there[0] != tx_hash and most * 10 < there[1] * 11:
            return "taken"
        self.pool[nonce] = (tx_hash, most)
        return "in"

    # ---- the client ----

    def sign(self, intent, fees):
        self.signed += 1
        self.deed_of[b"hash%d" % self.signed] = intent
        return form(self.signed, fees, self.now)

    def hand_in(self, one, fate):
        """'before': lost on the way there; 'after': on the way back."""
        if fate == "before":
            return "unsure"
        answer = self.take_in(one.nonce, one.newest.tx_hash, one.newest.fees.most)
        return "unsure" if fate == "after" else answer

    def want(self, intent, fate):
        if intent in self.done or self.wanted.get(intent) is not None:
            return
        attended = {one for one in self.wanted.values() if one is not None}
        one = adoptable(self.held.values(), intent, attended, self.now)
        for _ in range(NONCE_ATTEMPTS):
            if one is not None:
                break
            pending = self.count()
            while pending in self.pool:
                pending += 1
            nonce = next_nonce(self.held.values(), pending)
            new = Outgoing(nonce, intent, CALL, (self.sign(intent, FEES),))
            self.held[new.id] = new
            if self.hand_in(new, fate) == "taken":
                del self.held[new.id]
            else:
                one = new
        if one is not None:  # else the caller is told that the nonce is taken, and asks again
            self.wanted[intent] = one.id

    def look(self, one):
        for height, block in enumerate(self.blocks):
            for _, tx_hash in block:
                if tx_hash in {f.tx_hash for f in one.forms}:
                    found = Included(tx_hash, height, b"%d/%d" % (self.fork, height), True)
                    return look(self.now, len(self.blocks) - 1, included=found)
        deep = max(1, len(self.blocks) - self.finality)
        return look(self.now, len(self.blocks) - 1, self.count(), self.count(deep))

    def step(self, fate):
        for key, stored in sorted(self.held.items(), key=lambda item: item[1].nonce):
            before = self.seen.get(key, stored)
            one, step = decide(before, self.look(before), self.finality)
            if isinstance(step, Final) or step is Do.GIVE_UP:
                askers = [intent for intent, waited in self.wanted.items() if waited == key]
                if askers or step is Do.GIVE_UP or forgettable(one, self.now):
                    del self.held[key]
                for intent in askers:
                    self.wanted[intent] = None
                    if isinstance(step, Final):
                        self.done.add(intent)
                continue
            if step is Do.RAISE and (fees := raised(one, FEES)) is not None:
                one = with_form(one, self.sign(one.intent, fees))
                self.held[key] = one
            if step in (Do.RAISE, Do.RESEND):
                self.hand_in(one, fate)
                one = sent_at(one, self.now)
            self.seen[key] = one

    def fill(self):
        """As the door does it, without its patience."""
        pending = self.count()
        while pending in self.pool:
            pending += 1
        if any(gap_before(one, self.held.values(), pending) for one in self.held.values()):
            nothing = Outgoing(pending, b"fill", CALL, (self.sign("fill", FEES),))
            self.held[nothing.id] = nothing
            self.hand_in(nothing, "ok")

    def landed(self):
        return [self.deed_of.get(tx_hash) for block in self.blocks for _, tx_hash in block]


fates = st.sampled_from(["ok", "ok", "before", "after"])
deeds = st.one_of(
    st.tuples(st.just("want"), st.integers(0, 4), fates),
    st.tuples(st.just("step"), fates),
    st.tuples(st.just("mine")),
    st.tuples(st.just("reorg"), st.integers(1, 3), st.booleans()),
    st.tuples(st.just("forget")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("foreign")),
)


@settings(max_examples=examples(200), deadline=None)
@example(
    3,
    [
        ("want", 0, "ok"),
        ("mine",),
        ("foreign",),
        ("mine",),
        ("reorg", 1, True),
        ("reorg", 3, False),
        ("want", 1, "ok"),
    ],
    1.0,
)
@given(st.integers(0, 3), st.lists(deeds, max_size=40), st.floats(0.5, 12))
def test_whatever_happens_each_deed_is_done_once(finality, happenings, pace):
    world = World(finality)
    asked = set()
    for what, *how in happenings:
        world.now += pace
        if what == "want":
            asked.add(how[0])
            world.want(*how)
        elif what == "forget":
            world.pool.clear()
        elif what == "restart":
            world.seen, world.wanted = {}, {}
        else:
            getattr(world, what)(*how)
        landed = world.landed()
        assert all(landed.count(intent) <= 1 for intent in asked)
    for _ in range(60):  # calm: everything comes to its end
        world.now += USUAL.resend_every_s
        for intent in asked:
            world.want(intent, "ok")
        world.step("ok")
        world.fill()
        world.mine()
    landed = world.landed()
    assert all(landed.count(intent) == 1 for intent in asked)
    assert world.done >= asked
    assert not [one for one in world.held.values() if one.id in world.wanted.values()]
