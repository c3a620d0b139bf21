# SPDX-License-Identifier: Apache-2.0
"""What an update's `payment` changes of a channel that is open, and what is fixed on chain. Pure."""

from trustedpods.manifests.spec.pod import Payment
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.core.money import Token


def told_of_terms(
    name: str, before: Payment | None, after: Payment, caps: tuple[TokenUnits, TokenUnits], token: Token
) -> tuple[str, ...]:
    """Sentences for a plan. *caps* a day: the channel's on chain, and the one that the pod asks for now.

    *before* is what was asked for last, None where it is not known here. Prices and the notice period of an
    open channel never change, whatever a manifest says: nothing is told of them.
    """
    known, wanted = caps
    told = []
    if wanted > known:
        told.append(
            f"on chain the channel's cap rises from {token.rough(known)} to {token.rough(wanted)} a day"
        )
    elif wanted < known and after.max_cost_per_day is not None and before != after:
        told.append(
            f"the channel's cap stays at {token.rough(known)} a day: on chain it may only rise; "
            f"`trustedpods delete {name}` and a deploy anew open a channel with the lower one"
        )
    if before is not None and after.deposit not in (None, before.deposit):
        told.append(
            "payment.deposit counts when a channel is opened, and this one is open: "
            f"`trustedpods fund {name} AMOUNT` pays in more"
        )
    return tuple(told)
