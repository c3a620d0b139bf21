# SPDX-License-Identifier: Apache-2.0
"""Writes tests/vectors/money.json: numbers that Python and Solidity must agree on.

    .venv/bin/python -m tests.contracts.make_vectors

The file is frozen: a change in it is a change of the contract or of what is signed.
"""

import json
import random
from dataclasses import replace

from tests.paths import VECTORS
from trustedpods.contracts import merkle
from trustedpods.contracts.eip712 import (
    Domain,
    Move,
    Permit,
    Voucher,
    move_digest,
    permit_digest,
    usage_digest,
    voucher_digest,
)
from trustedpods.contracts.records import Channel
from trustedpods.contracts.settlement import settle
from trustedpods.contracts.terms import Terms, due
from trustedpods.contracts.usage import UsageClaim, UsageItem
from trustedpods.protocol.ids import PodRef, address_from_bytes, keccak256
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.units import Usage

FILE = VECTORS / "money.json"
CHAIN_ID = 31337
CASES = 40


def named(word):
    """An address and 32 bytes that anybody can make again from a word."""
    return address_from_bytes(keccak256(word.encode())[12:])


OWNER, PUBLISHER, PAYMENTS, TOKEN = (named(w) for w in ("owner", "publisher", "payments", "token"))
OLD_METER, NEW_METER = named("old meter"), named("new meter")
SALT = keccak256(b"salt")
REF = PodRef(OWNER, PUBLISHER, SALT)


def hex_words(numbers):
    return [f"0x{number:064x}" for number in numbers]


def random_terms(draw):
    wide = draw.choice([8, 16, 32])
    prices = [draw.getrandbits(wide) for _ in range(5)]
    names = ("cpu_core_ms", "memory_mib_s", "storage_mib_s", "egress_kib", "ingress_kib")
    scale = draw.choice([0, 40, 63, 64, 65, 90, 128])
    return Terms(
        Prices(scale=scale, **dict(zip(names, prices, strict=True))),
        cap_mantissa=1 + draw.getrandbits(23),
        cap_exponent=draw.randrange(65),
        unlock_minutes=draw.randrange(43_201),
    )


def random_usage(draw):
    wide = draw.choice([8, 24, 48])
    return Usage(*(draw.getrandbits(wide) for _ in range(5)))


def settlements(draw, voucher=False):
    """Random settled periods; each is (hot, terms, upTo, quantities, most, paid, flags, next hot)."""
    for _ in range(CASES):
        terms = random_terms(draw)
        start = 1_700_000_000 + draw.getrandbits(24)
        left = 1 + draw.getrandbits(draw.choice([10, 60, 87]))
        channel = Channel(REF.channel, 7, start, left, terms, carry=draw.randrange(43_201))
        item = UsageItem(
            REF.channel, start, start + 1 + draw.getrandbits(draw.choice([4, 20])), random_usage(draw)
        )
        most = draw.getrandbits(draw.choice([10, 60, 88])) if voucher else 0
        done = settle(channel, item, 7, item.up_to, most)
        yield (
            hot_word(channel),
            terms.pack(),
            item.up_to,
            item.words()[1],
            most,
            done.result.paid,
            int(done.result.flags),
            hot_word(done.channel),
        )


def hot_word(channel):
    return channel.meter_tag << 136 | channel.carry << 120 | channel.up_to << 88 | channel.left


def claim():
    items = [
        UsageItem(REF.channel, 1_800_000_000, 1_800_003_600, Usage(1, 2, 3, 4, 5), release=True),
        UsageItem(REF.channel + 1, 1_800_000_000, 1_800_003_600, Usage(2**48 - 1, 0, 0, 0, 2**48 - 1)),
        UsageItem(REF.channel + 2, 1_800_000_007, 1_800_003_600, Usage()),
    ]
    leaves = [merkle.leaf(CHAIN_ID, PAYMENTS, OWNER, item) for item in items]
    leaves.append(merkle.head_leaf(CHAIN_ID, PAYMENTS, OWNER, keccak256(b"head")))
    return UsageClaim(OWNER, merkle.root(leaves), tuple(items), (REF,)), leaves


def columns(cases):
    names = ("hot", "terms", "upTo", "quantities", "most", "paid", "flags", "next")
    return {name: hex_words(column) for name, column in zip(names, zip(*cases, strict=True), strict=True)}


def vectors():
    draw = random.Random("trusted pods")
    prices = [(random_terms(draw), random_usage(draw)) for _ in range(CASES)]
    settled, lifted = columns(settlements(draw)), columns(settlements(draw, voucher=True))
    batch, leaves = claim()
    domain = Domain.of_payments(CHAIN_ID, PAYMENTS)
    times = (1_800_003_700, 1_900_000_000, 1_800_000_000, 1_800_003_600)
    move = Move(OWNER, SALT, OLD_METER, NEW_METER, *times, 77)
    voucher = Voucher(OWNER, SALT, OLD_METER, 1_800_000_000, 1_800_003_600, 99)
    permit = Permit(PUBLISHER, PAYMENTS, 10**18, 3, 1_900_000_000)
    first = batch.items[0]
    return {
        "channel": {
            "owner": OWNER,
            "publisher": PUBLISHER,
            "salt": "0x" + SALT.hex(),
            "id": f"0x{REF.channel:064x}",
        },
        "due": {
            "terms": hex_words(one.pack() for one, _ in prices),
            "quantities": hex_words(
                replace(first, usage=used, release=False).words()[1] for _, used in prices
            ),
            "amounts": hex_words(due(used, one.prices) for one, used in prices),
        },
        "settle": settled,
        "settleWithVoucher": lifted,
        "signed": {
            "chainId": CHAIN_ID,
            "payments": PAYMENTS,
            "token": TOKEN,
            "root": "0x" + batch.root.hex(),
            "words": hex_words(batch.words),
            "usageDigest": "0x" + usage_digest(domain, batch).hex(),
            "oldMeter": OLD_METER,
            "newMeter": NEW_METER,
            "plan": f"0x{move.plan:064x}",
            "moveDigest": "0x" + move_digest(domain, move).hex(),
            "most": f"0x{voucher.most:064x}",
            "voucherDigest": "0x" + voucher_digest(domain, voucher).hex(),
            "permitDigest": "0x" + permit_digest(Domain("Token", "1", CHAIN_ID, TOKEN), permit).hex(),
        },
        "report": {
            "leaves": ["0x" + leaf.hex() for leaf in leaves],
            "proof": ["0x" + part.hex() for part in merkle.proofs(leaves)[0]],
        },
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1) + "\n")
