# SPDX-License-Identifier: Apache-2.0
"""Each alert of the page is there when its condition holds, and only then; Prometheus has the same ones."""

import pytest
from ruamel.yaml import YAML

from tests.fakes.page.operator import NOW, evidence, health
from tests.paths import ROOT
from trustedpods.provider.admin.reports.health_views import ChainNodeView, SlowStarts
from trustedpods.provider.admin.views import GasTodayView
from trustedpods.provider.core.disk import DiskState
from trustedpods.provider.page.alerts import SOON_S, alerts_of, proof_alerts

SLOW = SlowStarts(count=100, seconds=900.0, at_most=[(1.0, 50), (5.0, 89), (60.0, 100)])

LIAR = ChainNodeView(place="https://node.example", state="differs", told="answers eth_call otherwise")
HONEST = ChainNodeView(place="https://node.example", state="ok", told="")

FIRED: dict[str, dict[str, object]] = {
    "ClaimOld": {"oldest_claim": NOW - 36 * 3600 - 1},
    "PaidLess": {"items_cut": 1},
    "OperatorOutOfGas": {"gas_wei": 5 * 10**15 - 1},
    "GasCapReached": {"gas_today": GasTodayView(spent="5", cap="6", waiting={"claims": 2, "row": 0})},
    "OperatorKeyChange": {"key_change": "made"},
    "FactSilent": {"answered": {"chain": NOW - 121.0}},
    "ChainNodeDiffers": {"chain_nodes": [LIAR]},
    "ClusterUnread": {"trouble": "no answer"},
    "IsolationDoubt": {"isolation_doubt": "it is being tried"},
    "CertificateEnds": {"certificate_days": 9, "certificate_overdue": True},
    "CertificateEnded": {"certificate_days": 0},
    "DiskFull": {"disk_state": DiskState.SPENT},
    "DiskLow": {"disk_state": DiskState.LOW},
    "SlotsShort": {"free_slots": 7},
    "SpoolFull": {"spool_bytes": 91},
    "ColdStartsSlow": {"cold_starts": SLOW},
    "WakesRefused": {"wakes_served": 4, "wakes_refused": 6},
    "EgressLimited": {"egress_limited": 1},
    "Errors": {"errors_logged": 1},
}

QUIET: list[dict[str, object]] = [
    {},
    {"oldest_claim": None},
    {"oldest_claim": NOW - 36 * 3600},
    {"gas_wei": -1},
    {"gas_today": GasTodayView(spent="6", cap="6", waiting={"claims": 0})},
    {"gas_wei": 5 * 10**15},
    {"answered": {}},
    {"chain_nodes": [HONEST, HONEST]},
    {"answered": {"chain": NOW - 120.0}},
    {"certificate_days": None, "certificate_overdue": True},
    {"certificate_days": 1},
    {"free_slots": 8},
    {"spool_bytes": 90},
    {"wakes_served": 1, "wakes_refused": 8},
    {"wakes_served": 5, "wakes_refused": 5},
    {"cold_starts": SlowStarts(count=9, seconds=90.0, at_most=[(5.0, 0), (60.0, 9)])},
    {"cold_starts": SlowStarts(count=100, seconds=9.0, at_most=[(5.0, 90), (60.0, 100)])},
]

PAGE_ONLY = {"ClusterUnread", "IsolationDoubt"}
"""Prometheus hears of the first as a silent fact, and of the second by the log's warnings."""


@pytest.mark.parametrize("name", FIRED)
def test_an_alert_fires_alone_and_says_what_to_type(name):
    (alert,) = alerts_of(health(**FIRED[name]))
    assert alert.name == name
    assert alert.what
    assert len(alert.advice.split()) > 3
    assert alert.command.split()[0] in ("trustedpods-provider", "kubectl", "journalctl")


@pytest.mark.parametrize("changes", QUIET)
def test_what_is_just_well_is_no_alert(changes):
    assert alerts_of(health(**changes)) == ()


def test_evidence_that_fails_or_ends_soon_is_told():
    (failed,) = proof_alerts(None, "no TEE", NOW)
    assert (failed.name, failed.level) == ("NoEvidence", "critical")
    (ending,) = proof_alerts(evidence(good_until=NOW + SOON_S - 1), None, NOW)
    assert (ending.name, ending.level) == ("EvidenceEnds", "warning")
    for proof in (None, evidence(good_until=None), evidence(good_until=NOW + SOON_S)):
        assert proof_alerts(proof, None, NOW) == ()


def test_prometheus_has_the_same_rules_and_as_critical():
    text = (ROOT / "deploy/grafana/alerts.yaml").read_text()
    rules = {
        rule["alert"].removeprefix("TrustedPods"): rule["labels"]["severity"]
        for group in YAML(typ="safe").load(text)["groups"]
        for rule in group["rules"]
    }
    del rules["DaemonDown"]  # then the page says itself that nobody answers
    shown = {one.name: one.level for changes in FIRED.values() for one in alerts_of(health(**changes))}
    assert {name: level for name, level in shown.items() if name not in PAGE_ONLY} == rules


def test_the_critical_ones_come_first():
    everything = {key: value for changes in FIRED.values() for key, value in changes.items()}
    levels = [one.level for one in alerts_of(health(**everything))]
    assert levels == sorted(levels)
    assert len(levels) >= len(FIRED) - 1
