# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for money."""

from hypothesis import strategies as st

from trustedpods.contracts.records import Channel
from trustedpods.contracts.terms import Terms
from trustedpods.contracts.usage import UsageItem
from trustedpods.protocol.messages.provider import LeastTerms, Prices
from trustedpods.protocol.units import MAX_QUANTITY, Usage

u32 = st.integers(0, 2**32 - 1)
quantities = st.integers(0, MAX_QUANTITY)
usages = st.builds(Usage, *[quantities] * 5)


def prices_from(scale: int) -> st.SearchStrategy[Prices]:
    """Any prices with at least that scale: the greater it is, the less of a base unit a mantissa is."""
    return st.builds(
        Prices,
        cpu_core_ms=u32,
        memory_mib_s=u32,
        storage_mib_s=u32,
        egress_kib=u32,
        ingress_kib=u32,
        scale=st.integers(scale, 128),
    )


prices = prices_from(scale=0)
terms = st.builds(
    Terms,
    prices=prices,
    cap_mantissa=st.integers(1, 2**24 - 1),
    cap_exponent=st.integers(0, 64),
    unlock_minutes=st.integers(0, 43_200),
)
channel_ids = st.integers(0, 2**192 - 1)
channels = st.builds(
    Channel,
    id=channel_ids,
    meter_tag=st.integers(1, 2**120 - 1),
    up_to=u32,
    left=st.integers(1, 2**88 - 1),
    terms=terms,
    carry=st.integers(0, 43_200),
)
items = st.builds(
    UsageItem,
    channel=channel_ids,
    from_=u32,
    up_to=u32,
    usage=usages,
    release=st.booleans(),
    voucher=st.booleans(),
    whole=st.booleans(),
)
least = st.builds(
    LeastTerms,
    deposit=st.builds(lambda m, e: m * 10**e, u32, st.integers(0, 60)),
    unlock_s=st.integers(0, 43_200).map(lambda minutes: 60 * minutes),
    idle_mib=u32,
)
