# SPDX-License-Identifier: Apache-2.0
"""Contracts with one thing wrong: each of these must be noticed by a forge test."""

from dataclasses import dataclass

PAYMENTS, REGISTRY, WORDS = "PodPayments.sol", "PodRegistry.sol", "Words.sol"


@dataclass(frozen=True)
class Mutant:
    """`old` stands exactly once in the file; `harm` says what the contract would do with `new`."""

    harm: str
    file: str
    old: str
    new: str


MUTANTS = [
    Mutant(
        "the cap cuts nothing",
        WORDS,
        "if (paid > limit) {\n                if",
        "if (false) {\n                if",
    ),
    Mutant("a voucher lifts nothing", WORDS, "if (limit < most) limit = most;", ""),
    Mutant(
        "a voucher lowers the cap", WORDS, "if (limit < most) limit = most;", "if (most != 0) limit = most;"
    ),
    Mutant(
        "more is paid than deposited", WORDS, "            if (paid > left) {", "            if (false) {"
    ),
    Mutant("a deposit's end is not flagged", WORDS, "flags |= CUT_DEPOSIT;", ""),
    Mutant(
        "more than a day is carried",
        WORDS,
        "(carry < MAX_CARRY ? carry : MAX_CARRY)",
        "(carry < 65535 ? carry : 65535)",
    ),
    Mutant("what was paid is carried too", WORDS, "(budget - spent) / (2 * cap)", "budget / (2 * cap)"),
    Mutant(
        "a period may be paid twice",
        WORDS,
        "| upTo << 88 | (left - paid)",
        "| uint256(uint32(h >> 88)) << 88 | (left - paid)",
    ),
    Mutant(
        "scales above 127 wrap",
        WORDS,
        "shr(and(shr(160, t), 0xff), shl(64, amount))",
        "shr(and(shr(160, t), 0x7f), shl(64, amount))",
    ),
    Mutant(
        "notices count seconds",
        WORDS,
        "uint256(uint16(t >> 200)) * 1 minutes;",
        "uint256(uint16(t >> 200));",
    ),
    Mutant("a channel may open without a cap", WORDS, "uint24(t >> 176) != 0", "true"),
    Mutant("any meter may claim", PAYMENTS, "if (h >> 136 != tag) {", "if (h == 0) {"),
    Mutant(
        "periods need not chain",
        PAYMENTS,
        "uint32(item >> 32) != settled || upTo <= settled",
        "upTo <= settled",
    ),
    Mutant(
        "time may run backwards",
        PAYMENTS,
        "uint32(item >> 32) != settled || upTo <= settled",
        "uint32(item >> 32) != settled",
    ),
    Mutant(
        "the future may be claimed",
        PAYMENTS,
        "} else if (upTo > block.timestamp) {\n            flags = FUTURE;\n        } else if (quantities",
        "} else if (quantities",
    ),
    Mutant("an item counts without its voucher", PAYMENTS, "quantities & Words.VOUCHED > lift", "false"),
    Mutant(
        "a voucher is good for any channel",
        PAYMENTS,
        "if (idOf(owner, v.publisher, v.salt) != item >> 64) continue;",
        "",
    ),
    Mutant(
        "anybody signs vouchers", PAYMENTS, "if (_signed(v.publisher, hash, v.signature)) results", "results"
    ),
    Mutant(
        "a voucher is good for any period",
        PAYMENTS,
        "uint32(item >> 32), uint32(item), v.most)",
        "uint32(0), uint32(0), v.most)",
    ),
    Mutant(
        "arrears of a dry channel are lost",
        PAYMENTS,
        "} else if (uint88(h) == 0) {\n            flags = DRY;\n        } else {",
        "} else {",
    ),
    Mutant("an open channel is overwritten", PAYMENTS, "if (c.hot != 0) revert Live();", ""),
    Mutant(
        "a second notice pushes the first", PAYMENTS, "if (Words.unlockAtIn(terms) != 0) revert Locked();", ""
    ),
    Mutant(
        "the notice can be skipped",
        PAYMENTS,
        "if (ending == 0 || block.timestamp < ending) revert Locked();",
        "if (block.timestamp < ending) revert Locked();",
    ),
    Mutant(
        "a move does not end the notice",
        PAYMENTS,
        "c.terms = Words.withUnlockAt(terms, 0);\n        uint256[] memory",
        "uint256[] memory",
    ),
    Mutant(
        "a channel is released by an item that does not hold",
        PAYMENTS,
        "if ((results[i] >> 120) & SKIPPED != 0) continue;",
        "",
    ),
    Mutant(
        "a release refunds anybody",
        PAYMENTS,
        "if (h == 0 || idOf(owner, ref.publisher, ref.salt) != id) {",
        "if (h == 0) {",
    ),
    Mutant("a channel is refunded twice in a batch", PAYMENTS, "if (h == 0 || idOf(", "if (idOf("),
    Mutant(
        "anybody hands moves in",
        PAYMENTS,
        "msg.sender != oldMeter && msg.sender != owner && !isOperator[owner][msg.sender]",
        "msg.sender == address(0)",
    ),
    Mutant("deadlines do not end", PAYMENTS, "block.timestamp > uint32(m.plan >> 152) || ", ""),
    Mutant("moves need no consent", PAYMENTS, " || !_consents(owner, oldMeter, newMeter, m)) {", ") {"),
    Mutant(
        "any signature is consent",
        PAYMENTS,
        "failure == ECDSA.RecoverError.NoError && signer == who",
        "failure == ECDSA.RecoverError.NoError",
    ),
    Mutant("a settlement is good twice", PAYMENTS, "(from != settled || upTo <= from)", "(upTo <= from)"),
    Mutant(
        "a settlement needs no period",
        PAYMENTS,
        "(from != settled || upTo <= from)",
        "(from != settled || upTo < from)",
    ),
    Mutant("a move is good in every life", PAYMENTS, "settled >= uint32(m.plan >> 184)", "false"),
    Mutant(
        "the time of a move is not signed", PAYMENTS, "                uint32(m.plan >> 184),\n", "uint32(0),"
    ),
    Mutant("a move may lead nowhere", PAYMENTS, "if (tag == Words.tagOf(oldMeter)) revert BadTerms();", ""),
    Mutant(
        "a publisher's move may lead nowhere", PAYMENTS, "if (tag == Words.tagIn(h)) revert Denied();", ""
    ),
    Mutant(
        "a publisher's move voids nothing",
        PAYMENTS,
        "uint256 moved = Words.dated(block.timestamp);",
        "uint256 moved = Words.upToIn(h);",
    ),
    Mutant("a move is paid in part, whatever it asks", PAYMENTS, "m.plan & WHOLE_MOVE != 0", "false"),
    Mutant("a move may carry anything", PAYMENTS, "m.plan & NO_MOVE != 0 || ", ""),
    Mutant("a wallet may burn everything", PAYMENTS, "staticcall(WALLET_GAS, ", "staticcall(gas(), "),
    Mutant(
        "a wallet may be starved", PAYMENTS, "if (gasleft() < WALLET_CALL_GAS) revert TooLittleGas();", ""
    ),
    Mutant(
        "a wallet need not answer in full",
        PAYMENTS,
        "and(gt(returndatasize(), 31), eq(mload(0), magic))",
        "eq(mload(0), magic)",
    ),
    Mutant("a wallet's answer does not count", PAYMENTS, "eq(mload(0), magic)", "1"),
    Mutant(
        "what is to be paid whole is cut",
        WORDS,
        "return quantities & (WHOLE | RELEASE) == WHOLE;",
        "return false && quantities == 0;",
    ),
    Mutant(
        "a last item is held back",
        WORDS,
        "return quantities & (WHOLE | RELEASE) == WHOLE;",
        "return quantities & WHOLE != 0;",
    ),
    Mutant(
        "what is held back is written",
        WORDS,
        "return (0, DRY | CUT_DEPOSIT, h);",
        "return (0, DRY | CUT_DEPOSIT, h & ~UP_TO | upTo << 88);",
    ),
    Mutant("times wrap in 2106", WORDS, "if (time > type(uint32).max) revert IPodPayments.TooLate();", ""),
    Mutant("a notice wraps", WORDS, "if (when > type(uint40).max) revert IPodPayments.TooLate();", ""),
    Mutant(
        "nobody leaves after 2106",
        WORDS,
        "UNLOCK_AT = uint256(type(uint40).max) << 216",
        "UNLOCK_AT = uint256(type(uint32).max) << 216",
    ),
    Mutant(
        "rows of 2106 look old", REGISTRY, "if (block.timestamp > type(uint32).max) revert TooLate();", ""
    ),
    Mutant(
        "a move may pay more than is left",
        PAYMENTS,
        "            if (pay > Words.leftIn(h)) {",
        "            if (false) {",
    ),
    Mutant("a withdrawal may be repeated", PAYMENTS, "        account.owed = 0;\n", ""),
    Mutant(
        "a withdrawal ignores the payout",
        PAYMENTS,
        "account.payout == address(0) ? who : account.payout",
        "who",
    ),
    Mutant(
        "a withdrawal pays the caller's payout",
        PAYMENTS,
        "Account storage account = accounts[who];\n        uint256 amount",
        "Account storage account = accounts[msg.sender];\n        uint256 amount",
    ),
    Mutant("a refused refund is lost", PAYMENTS, "if (!pushed) _credit(publisher, left);", ""),
    Mutant("a closed channel keeps its money", PAYMENTS, "(c.hot, c.terms) = (0, 0);", ""),
    Mutant(
        "fees on transfer leave it short",
        PAYMENTS,
        "if (token.balanceOf(address(this)) - before != amount) revert BadAmount();",
        "before;",
    ),
    Mutant(
        "releases are not signed",
        PAYMENTS,
        "keccak256(abi.encodePacked(words)), _hashRefs(refs)",
        'keccak256(abi.encodePacked(words)), keccak256("")',
    ),
    Mutant("the owner may be the meter", PAYMENTS, "order.owner == order.meter || ", ""),
    Mutant(
        "a cap may sink", PAYMENTS, "Words.capIn(raised) <= Words.capIn(terms)", "Words.capIn(raised) == 0"
    ),
    Mutant("a removed row leaves its key", REGISTRY, "        keys[position] = last;\n", ""),
    Mutant(
        "a moved key forgets its place",
        REGISTRY,
        "        rows[_ownerIn(last)][_daemonIn(last)].position = position;\n",
        "",
    ),
    Mutant(
        "strangers send heartbeats",
        REGISTRY,
        "if (msg.sender != owner && !isOperator[owner][msg.sender]) revert Denied();",
        "",
    ),
    Mutant(
        "a row registers twice",
        REGISTRY,
        "        if (position == 0) {\n            position",
        "        {\n            position",
    ),
]
