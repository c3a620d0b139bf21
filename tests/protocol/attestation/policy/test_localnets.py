# SPDX-License-Identifier: Apache-2.0
"""Whose simulated evidence a policy takes in the market that it is used in, and of which guests."""

from dataclasses import replace

from tests.protocol.attestation.test_verdict import PAYMENTS, REGISTRY, ROOT, answer, judge, rule_of
from trustedpods.protocol.attestation.policy.localnets import NamedLocalnet
from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.attestation.simulated import SimulatedMarket, SimulatedSigner, market_digest
from trustedpods.protocol.attestation.snp.policy import SIMULATED_ENTRY

OTHER = b"\x5a" * 48
MARKET = SimulatedMarket(ROOT.chain_pem, 31337, REGISTRY, PAYMENTS)


def test_a_measurement_counts_where_the_policy_lists_it_or_leaves_it_to_the_markets_file():
    digest, measured = market_digest(31337, REGISTRY, PAYMENTS), SimulatedSigner(ROOT.machine_pem, OTHER)
    of_image = replace(MARKET, measurements=frozenset({OTHER}))
    pinned = Policy(localnets=(NamedLocalnet(digest, frozenset({OTHER})),))
    assert judge(answer(signer=measured), pinned.in_market(MARKET)).entry == "simulated"
    assert rule_of(answer(), pinned.in_market(MARKET)) == "measurement"
    named = Policy(localnets=(NamedLocalnet(digest),))
    assert judge(answer(signer=measured), named.in_market(of_image)).entry == "simulated"
    assert rule_of(answer(), named.in_market(of_image)) == "measurement"
    assert rule_of(answer(signer=measured), named.in_market(MARKET)) == "measurement"
    both = Policy(localnets=(*named.localnets, *pinned.localnets)).in_market(MARKET)
    assert judge(answer(), both).entry == judge(answer(signer=measured), both).entry == "simulated"


def test_a_real_market_takes_no_simulated_report_whatever_measurement_a_policy_lists():
    """A sealed image on real hardware may name a localnet's signer: its evidence convinces nobody there."""
    named = NamedLocalnet(market_digest(31337, REGISTRY, PAYMENTS), frozenset({OTHER}))
    entry = replace(SIMULATED_ENTRY, measurements=frozenset({OTHER}))
    signed = answer(signer=SimulatedSigner(ROOT.machine_pem, OTHER))
    for policy in (Policy(snp=(entry,)), Policy(snp=(entry,), localnets=(named,))):
        assert rule_of(signed, policy.in_market(None)) == "simulated"
