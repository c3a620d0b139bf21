# SPDX-License-Identifier: Apache-2.0
"""Rules about money, channels and the keys of a provider's boot."""

from trustedpods.protocol.rules.rule import Rule

_CLOSE = "`trustedpods close NAME` gets the deposit back without the provider"
_OPERATOR = "tell the operator; " + _CLOSE
_AGAIN = "run it again"

MONEY = {
    "deposit": Rule("less is paid in than the provider asks for", "pay in more: `--deposit`"),
    "deny-list": Rule(
        "the operator's deny list is full", "take keys off it: `trustedpods-provider deny --help`"
    ),
    "gas": Rule("the account has too little of the chain's own coin to pay for gas", "send it some"),
    "market-code": Rule(
        "a market's contracts are not those of this version",
        "ask whoever runs the market which version it is for",
    ),
    "marks": Rule(
        "the provider cannot write down what it did in this boot", "make room in its folder of keys"
    ),
    "meter": Rule(
        "the channel names the meter of another boot", "run it again: the channel moves to the new one"
    ),
    "move-budget": Rule("the provider moved as many channels as it pays for in an hour", "try again later"),
    "move-signature": Rule("a move is not signed by the channel's publisher", "use the key that opened it"),
    "moved": Rule(
        "the provider says that the channel moved, and the chain does not", _AGAIN + "; else " + _CLOSE
    ),
    "moved-before": Rule(
        "the channel was moved in this boot already", _CLOSE + ", or wait for its next start"
    ),
    "nonce": Rule(
        "another program sent a transaction with this key", "look at the chain before you repeat it"
    ),
    "not-moved": Rule("the contract did not move the channel", _CLOSE),
    "old-meter": Rule(
        "nobody remembers the meter that the channel names",
        "use a chain node that keeps events, or " + _CLOSE,
    ),
    "payer": Rule(
        "who is to bring the deposit has not, or cannot",
        "a Safe's owners execute the file that is named, then run it again; `--wait 2h` waits for them",
    ),
    "reverted": Rule(
        "a contract refused, or it is another contract",
        "look at `payments` and `registry` of the market file",
    ),
    "signer-answer": Rule(
        "a signer answered with something else than was asked for, or for another account",
        "sign what is shown as it is, with the account that `--payer` names; nothing was sent",
    ),
    "signer-away": Rule(
        "the signer that `--payer` names cannot be reached", "start it, or name its socket or address right"
    ),
    "signer-refused": Rule(
        "the person at the signer said no, or it does not have the account",
        _AGAIN + " when it may be signed: nothing was sent, and nothing is lost",
    ),
    "signer-silent": Rule(
        "nobody confirmed at the signer in time", _AGAIN + ", with a longer `--wait`: nothing was sent"
    ),
    "tee": Rule("the provider's TEE is not what it was", _OPERATOR),
    "tee-busy": Rule("the TEE gave no report", "try again later"),
    "token": Rule("the account has too few tokens", "pay in less with --deposit, or send it tokens"),
    "trust": Rule(
        "the pod wants a sealed provider, and this one is open",
        "choose another, or `--trust open`: its operator can read it",
    ),
    "unlock-announced": Rule("notice is given on the deposit", "deploy again takes it back; `close` ends it"),
    "unlock-period": Rule(
        "the channel's notice is shorter than the provider asks for", "delete the pod, deploy again"
    ),
    "up-to": Rule("usage is claimed for a time that is to come", "`trustedpods audit NAME`, then " + _CLOSE),
    "whole-deposit": Rule(
        "the contract gives no part of a deposit back while the channel pays for its pod",
        "`trustedpods delete NAME` ends the pod, and all that is left comes back at once",
    ),
}
