# SPDX-License-Identifier: Apache-2.0
"""Whether a deploy that failed in the middle goes on with the next provider. Pure.

Two things must hold: the failure was the provider's, so that another one may do better; and no pod of this
name runs and is paid where it failed. What could not be read is never taken for that.
"""

from trustedpods.contracts.records import Channel
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import EvidenceRefused, NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.rules.all_rules import rule_named
from trustedpods.protocol.rules.pods import OTHER
from trustedpods.protocol.units import TokenUnits

MAX_LEFT = 2
"""Providers that one deploy leaves behind: each may hold a deposit until its notice ends, and costs gas."""

GIVEN_BACK = ("unlocking", "released", "closed")
"""States of a deposit in which its channel pays for nothing that starts: notice stops whatever runs there."""


def another_may_take(error: TrustedPodsError) -> bool:
    """Whether *error* says something of this provider, and not of the pod or of who deploys it.

    A refusal counts where its rule advises a person to choose another provider; a pod that does not start
    would not start elsewhere, and each try would cost.
    """
    if isinstance(error, NetworkFailure | EvidenceRefused):
        return True
    rule = rule_named(error.rule) if error.rule and isinstance(error, Refused) else None
    return rule is not None and OTHER in rule.advice


def is_left(state: str | None, *, sent: bool) -> bool:
    """Whether a provider is left for good, with its deposit in *state* (None: it never came to money).

    *sent*: this run sent a transaction for its channel. One that the chain does not show yet may come still,
    and so "untouched" is enough only where none was sent.
    """
    if state in GIVEN_BACK:
        return True
    return state == "untouched" and not sent


def as_opened(channel: Channel, amount: TokenUnits, terms: Terms) -> bool:
    """Whether *channel*, opened with *amount* and *terms*, was neither paid into nor claimed from since.

    A client that deploys a larger pod raises its cap, one that looks after a pod pays in, and a provider
    claims for what runs: each shows that somebody may be served there.
    """
    return channel.left == amount and channel.terms.cap_per_day == terms.cap_per_day
