# SPDX-License-Identifier: Apache-2.0
"""The notes by which agents are told limits: their names are those that the agent's source has."""

from tests.paths import ROOT
from trustedpods.provider.cluster.networks.egress_limits import CONNECTIONS_NOTE, MBIT_NOTE, notes_of
from trustedpods.provider.cluster.objects.names import NETWORKS_NAMESPACE
from trustedpods.provider.core.quotas.settings import MOST_MBIT, MOST_NEW_CONNECTIONS

NETPOL = ROOT / "deploy/kube/netpol"


def test_notes_are_decimal_numbers_and_none_where_there_is_no_limit() -> None:
    assert notes_of(None, None) == {}
    assert notes_of(100, None) == {MBIT_NOTE: "100"}
    assert notes_of(1, 50) == {MBIT_NOTE: "1", CONNECTIONS_NOTE: "50"}


def test_the_agent_reads_the_same_notes_with_the_same_bounds() -> None:
    reads = (NETPOL / "agent/limited.go").read_text()
    assert f'mbitNote        = "{MBIT_NOTE}"' in reads
    assert f'connectionsNote = "{CONNECTIONS_NOTE}"' in reads
    assert f'ownNamespace    = "{NETWORKS_NAMESPACE}"' in reads
    bounds = (NETPOL / "limits/limits.go").read_text()
    assert f"MostMbit = {MOST_MBIT:_}" in bounds
    assert f"MostConnections = {MOST_NEW_CONNECTIONS:_}" in bounds
