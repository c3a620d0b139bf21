# SPDX-License-Identifier: Apache-2.0
"""When the money ends: a warning, a stop, and after the grace period nothing but a settled account."""

import httpx
import pytest

from tests.live.clients import web
from tests.live.clients.publisher import Deployed, Json, Publisher, provider
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import label_of, remains, replicas, until_zero
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.provider.core.metering import REPORT_LAG_S

pytestmark = pytest.mark.live

FUNDED_FOR_S = 30
TOLD = ("started", "funds-warning", "funds-out", "grace-over")
"""What a publisher reads of a pod whose money ends, in this order."""

CLOSE_LAG_S = 30
"""Mining the release, and writing down that it happened."""


OBSERVED_WITHIN_S = 5
"""So long ago, at most, the daemon looked at what runs: what is due is known up to then."""


def always_one(spec: Json) -> None:
    spec["scale"] = {"min": 1, "max": 1}


def until_stopped(market: LiveLocalnet, person: Publisher, pod: Deployed) -> None:
    """Wait until the pod's money is used up; nothing else ends a pod that always runs.

    Its publisher is told why, callers are not.
    """
    until_zero(market, pod.namespace)
    refused = web.get(pod.url)
    assert (refused.status, "cannot be started just now" in refused.text) == (503, True), refused
    assert "deposit" not in refused.text
    told = person.run("status", pod.name).json
    assert "deposit is used up" in told["reason"], told


def until_gone(person: Publisher, pod: Deployed) -> Json:
    """Its status once the provider wrote down that the pod ended; the chain knows it a moment before."""

    def look() -> Json | None:
        found = person.run("status", pod.name).json
        return found if found["phase"] == "gone" else None

    status = until("the pod is gone", look)
    assert status is not None
    person.gone(pod.name)
    return status


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

    until_stopped(quiet_market, quiet_publisher, pod)
    until("nothing is left", lambda: not remains(quiet_market, label_of(pod.url)))
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
    status = until_gone(quiet_publisher, pod)
    times = {event["reason"]: event["at"] for event in status["pod_events"]}
    told = [reason for reason in times if reason in TOLD]
    assert told == list(TOLD), status["pod_events"]
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

    until_stopped(quiet_market, quiet_publisher, pod)
    assert remains(quiet_market, label_of(pod.url))
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
    until("nothing is left", lambda: not remains(quiet_market, label_of(pod.url)))
    assert bank.channel(pod.channel) is None


@pytest.mark.parametrize("quiet_market", [6], indirect=True, ids=["6-decimals"])
def test_an_announced_unlock_is_claimed_before_it_ends(
    quiet_market: LiveLocalnet, quiet_publisher: Publisher
) -> None:
    """The publisher gives notice: the pod stops at once, and what it used is paid before he can close."""
    bank = Bank(quiet_market)
    pod = quiet_publisher.deploy(quiet_publisher.manifest("hello", unique("leaving"), always_one))
    owed, opened = bank.owed(), bank.channel(pod.channel)
    said = quiet_publisher.run("close", pod.name).json
    assert said["channels"][0]["state"] == "unlocking"
    until_zero(quiet_market, pod.namespace)
    noticed = bank.channel(pod.channel)
    assert noticed is not None
    assert noticed.unlock_at > 0
    paid = until("the provider has claimed", lambda: bank.owed() - owed)
    closed = until("the channel is released", lambda: bank.events(pod.channel).closed)
    assert opened is not None
    assert bank.owed() - owed >= paid
    assert bank.owed() - owed + closed.refund == opened.left
    status = until_gone(quiet_publisher, pod)
    times = {event["reason"]: event["at"] for event in status["pod_events"]}
    assert times["unlock-announced"] <= times["removed"] <= noticed.unlock_at + CLOSE_LAG_S


@pytest.mark.parametrize("quiet_market", [6], indirect=True, ids=["6-decimals"])
def test_evict_and_drain_settle_first_and_say_why(
    quiet_market: LiveLocalnet, quiet_publisher: Publisher
) -> None:
    bank = Bank(quiet_market)
    pods = [
        quiet_publisher.deploy(quiet_publisher.manifest("hello", unique(name), always_one))
        for name in ("evicted", "drained")
    ]
    opened = {pod.name: bank.channel(pod.channel) for pod in pods}
    owed = bank.owed()
    evicted, drained = pods
    served = bank.time()
    until(
        "both owe more than may be told late", lambda: bank.time() > served + REPORT_LAG_S + OBSERVED_WITHIN_S
    )

    host = httpx.URL(evicted.url).host
    [gone] = provider(quiet_market, "evict", host, "--reason", "abuse notice 4711")
    assert (gone["phase"], gone["settled"]) == ("gone", True)
    assert web.get(drained.url).status == 200
    left = provider(quiet_market, "drain", "--reason", "a new disk")
    assert [(one["phase"], one["settled"]) for one in left if one["label"] == label_of(drained.url)] == [
        ("gone", True)
    ]
    try:
        refused = quiet_publisher.run("deploy", drained.file.name, code=6)
        assert "a new disk" in refused.out + refused.err
    finally:
        provider(quiet_market, "drain", "--undo")

    refunds = 0
    for pod, reason in ((evicted, "abuse notice 4711"), (drained, "a new disk")):
        status = quiet_publisher.run("status", pod.name).json
        assert status["phase"] == "gone"
        quiet_publisher.gone(pod.name)
        assert reason in status["reason"]
        until("nothing is left", lambda pod=pod: not remains(quiet_market, label_of(pod.url)))
        closed = bank.events(pod.channel).closed
        assert closed is not None
        refunds += closed.refund
        lines = quiet_publisher.run("bill", pod.name).json["lines"]
        assert len(lines) >= 2  # what was due, then the release
    assert bank.owed() - owed + refunds == sum(one.left for one in opened.values() if one is not None)
