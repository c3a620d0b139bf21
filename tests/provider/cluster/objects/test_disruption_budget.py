# SPDX-License-Identifier: Apache-2.0
"""How many replicas an operator who empties a node may take at once."""

from tests.fakes.provider.pods import a_manifest
from trustedpods.provider.cluster.objects.disruption_budget import disruption_budgets


def test_one_at_a_time_of_several():
    [made] = disruption_budgets(a_manifest(workload="replicated", replicas=2), "ptest")
    assert made["spec"] == {
        "maxUnavailable": 1,
        "selector": {"matchLabels": {"trustedpods.dev/pod": "ptest"}},
    }


def test_none_where_it_would_keep_a_node_from_being_emptied():
    assert disruption_budgets(a_manifest(workload="replicated", replicas=1), "ptest") == []
    assert disruption_budgets(a_manifest(), "ptest") == []
