# SPDX-License-Identifier: Apache-2.0
"""When the money ends: a warning, a stop, and after the grace period nothing but a settled account."""

import pytest

from tests.live import web
from tests.live.cluster import label_of, remains, replicas, until_zero
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.money import Bank
from tests.live.publisher import Deployed, Json, Publisher, provider
from tests.live.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

FUNDED_FOR_S = 30


def always_one(spec: Json) -> None:
    spec["scale"] = {"min": 1, "max": 1}


def until_stopped(market: LiveLocalnet, pod: Deployed) -> None:
    """Wait until the pod's money is used up; nothing else ends a pod that always runs."""
    until_zero(market, pod.namespace, FUNDED_FOR_S + 30)
    refused = web.get(pod.url)
    assert (refused.status, "deposit is used up" in refused.text) == (503, True), refused


@pytest.mark.parametrize("quiet_market", [6], indirect=True, ids=["6-decimals"])
def test_a_pod_without_funds_ends_and_is_settled_to_the_unit(
    quiet_market: LiveLocalnet, quiet_publisher: Publisher
) -> None:
    bank = Bank(quiet_market)
    provider(quiet_market, "claim", "--withdraw")
    had, tokens = bank.paid_out(), bank.balance(quiet_publisher.address)
    file = quiet_publisher.manifest("web", unique("dry"), always_one)
    pod = quiet_publisher.deploy(file, "--deposit", f"{FUNDED_FOR_S}s")
    deposit = bank.events(pod.channel).opened
    assert deposit == tokens - bank.balance(quiet_publisher.address)
    assert remains(quiet_market, label_of(pod.url))

    until_stopped(quiet_market, pod)
    assert remains(quiet_market, label_of(pod.url))
    until("nothing is left", lambda: not remains(quiet_market, label_of(pod.url)), 60)
    closed = until("the channel is closed", lambda: bank.events(pod.channel).closed)
    assert bank.channel(pod.channel) is None

    provider(quiet_market, "claim", "--withdraw")
    payout = bank.paid_out() - had
    assert payout > 0
    assert closed is not None
    assert payout + closed.refund == deposit
    assert bank.balance(quiet_publisher.address) == tokens - payout
    [channel] = quiet_publisher.run("balance").json["channels"]
    assert (channel["state"], channel["refund_units"]) == ("closed", str(closed.refund))
    status = quiet_publisher.run("status", pod.name).json
    assert status["phase"] == "gone"
    times = {event["reason"]: event["at"] for event in status["pod_events"]}
    assert times["started"] < times["funds-warning"] < times["funds-out"]
    assert times["funds-out"] + quiet_market.settings.knobs.grace_s <= times["grace-over"]


@pytest.mark.parametrize("quiet_market", [18], indirect=True, ids=["18-decimals"])
def test_a_top_up_in_the_grace_period_brings_the_pod_back_with_its_data(
    quiet_market: LiveLocalnet, quiet_publisher: Publisher
) -> None:
    bank = Bank(quiet_market)
    file = quiet_publisher.manifest("web", unique("revived"), always_one)
    pod = quiet_publisher.deploy(file, "--deposit", f"{FUNDED_FOR_S}s")
    mark = unique("/mark")
    assert web.get(pod.url, mark).status == 404
    assert mark in web.get(pod.url, "/visits").text
    before = {one["metadata"]["uid"] for one in replicas(quiet_market, pod.namespace)}

    until_stopped(quiet_market, pod)
    left = bank.channel(pod.channel)
    quiet_publisher.run("fund", pod.name, "1")
    until("it serves again", lambda: web.get(pod.url, "/visits").status == 200)
    assert mark in web.get(pod.url, "/visits").text
    [now] = replicas(quiet_market, pod.namespace)
    assert now["metadata"]["uid"] not in before
    topped = bank.channel(pod.channel)
    assert left is not None
    assert topped is not None
    assert topped.left > left.left
    quiet_publisher.close()
    assert remains(quiet_market, label_of(pod.url)) == []
    assert bank.channel(pod.channel) is None
