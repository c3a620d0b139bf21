# SPDX-License-Identifier: Apache-2.0
"""What Prometheus would read of a running market: the daemon's numbers, and HAProxy's by slot."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.test_grafana import DASHBOARDS, NAME, alert_expressions, panel_expressions
from tests.live.clients import web
from tests.live.clients.publisher import Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import until_zero
from tests.live.observers.waiting import until

pytestmark = pytest.mark.live

_SCRAPE = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=60).read().decode())"


def scrape(market: LiveLocalnet, part: int) -> dict[str, float]:
    """Sums over all labels, by sample name; *part* 0 is the daemon, 1 the facade."""
    url = f"http://127.0.0.1:{market.cluster().ports.metrics + part}/metrics"
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(market.on_node("python3", "-c", _SCRAPE, url)):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums


def test_a_cold_start_is_seen_and_every_panel_has_its_numbers(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    deployed = publisher.deploy(publisher.manifest("hello", unique("seen")))
    until_zero(market, deployed.namespace)
    before = scrape(market, 0)["trustedpods_cold_start_seconds_count"]
    assert web.get(deployed.url).status == 200
    until("it counts", lambda: scrape(market, 0)["trustedpods_cold_start_seconds_count"] >= before + 1)
    until("the pod is counted", lambda: scrape(market, 0).get("trustedpods_pods", 0) >= 1)

    panels = [expression for path in DASHBOARDS for expression in panel_expressions(path)]
    asked = {name for text in (*alert_expressions(), *panels) for name in NAME.findall(text)}
    late = {
        "trustedpods_claim_items_total",
        "trustedpods_log_messages_total",
    }  # nothing may have happened yet
    late |= {f"trustedpods_certificate_{name}" for name in ("days_left", "overdue")}  # a localnet orders none
    late.add("trustedpods_chain_nodes")  # it asks one node: only several are counted
    late |= {f"trustedpods_gas_{name}" for name in ("cap_wei", "deferred")}  # it bounds no day's gas

    def missing() -> set[str]:
        return asked - scrape(market, 0).keys() - scrape(market, 1).keys() - late

    until("every panel has its numbers", lambda: not missing())
