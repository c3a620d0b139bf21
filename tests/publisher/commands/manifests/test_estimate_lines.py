# SPDX-License-Identifier: Apache-2.0
"""What a person reads of an estimate: prices, who was left out, and what a delete leaves."""

from dataclasses import replace

from trustedpods.protocol.ids import Address
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.commands.manifests.estimate_lines import estimate_lines
from trustedpods.publisher.core.cost import Cost
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.results.estimated import EstimatedNot, EstimatedOffer, EstimateResult
from trustedpods.publisher.results.providers import ProviderId

NEAR, FAR = (
    ProviderId(Address("0x" + digit * 40), 1, "/ip4/192.0.2.1/tcp/4001", region)
    for digit, region in (("1", "near"), ("2", "far"))
)
OFFER = EstimatedOffer(
    provider=NEAR,
    trust="open",
    cost=Cost(*map(TokenUnits, (2_000_000, 1_000_000, 4_000_000, 96_000_000, 1, 2, 3))),
    retained_hour=TokenUnits(500_000),
    deposit=TokenUnits(30_000_000),
)
RESULT = EstimateResult(
    pod="web",
    token=Token("USDC", 6),
    simulated=False,
    image_bytes=2_500_000,
    min_replicas=0,
    max_replicas=3,
    outliving_mib=0,
    offers=(OFFER,),
    left_out=(EstimatedNot(FAR, "no room"),),
)


def test_prices_and_who_was_left_out():
    size, _, row, units, left_out = estimate_lines(RESULT)
    assert size == "pod web: 0 to 3 replicas, images 2.5 MB packed and unpacked"
    assert row.split() == [NEAR.name, "OPEN", "near", "1", "2", "4", "96", "30"]
    assert units == "(in USDC, without traffic)"
    assert left_out == f"{FAR.name}: left out: no room"


def test_what_a_delete_leaves_is_told_only_where_a_volume_outlives_it():
    assert not [line for line in estimate_lines(RESULT) if "delete" in line]
    [told] = [line for line in estimate_lines(replace(RESULT, outliving_mib=64)) if "delete" in line]
    assert "64 MiB" in told
    assert f"0.5 at {NEAR.name}" in told
