# SPDX-License-Identifier: Apache-2.0
"""The publisher knows the bill before it is paid, and the provider gets exactly that, once."""

import time
from decimal import Decimal

import pytest

from tests.live.clients import web
from tests.live.clients.publisher import Json, Publisher, provider
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import until_zero
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.contracts.records import Channel

pytestmark = pytest.mark.live


@pytest.mark.parametrize("quiet_market", [18, 6], indirect=True, ids=["18-decimals", "6-decimals"])
def test_what_is_billed_is_paid_once(quiet_market: LiveLocalnet, quiet_publisher: Publisher) -> None:
    bank = Bank(quiet_market)
    provider(quiet_market, "claim", "--withdraw")  # what earlier pods brought
    deployed = quiet_publisher.deploy(quiet_publisher.manifest("hello", unique("billed")))
    opened = bank.channel(deployed.channel)
    assert web.get(deployed.url).status == 200
    until_zero(quiet_market, deployed.namespace)
    assert opened is not None

    prepared = provider(quiet_market, "claim", "--prepare")
    assert (prepared["items"], prepared["transaction"]) == (1, None)
    bill = quiet_publisher.run("bill", deployed.name).json
    total = int(bill["total_units"])
    assert total > 0
    assert bill["problems"] == []
    assert (bill["claimed_units"], [line["tx"] for line in bill["lines"]]) == ("0", [None])
    assert bank.channel(deployed.channel) == opened  # nothing has reached the chain
    assert (bank.owed(), had := bank.paid_out()) == (0, had)

    claimed = provider(quiet_market, "claim")
    assert claimed["root"] == prepared["root"] == bill["lines"][0]["root"]
    assert bank.owed() == total
    withdrawn = provider(quiet_market, "claim", "--withdraw")
    assert withdrawn["withdrawn"] == str(total)
    assert (bank.paid_out() - had, bank.owed()) == (total, 0)

    settled = bank.channel(deployed.channel)
    assert settled is not None
    assert settled.left == opened.left - total
    again = provider(quiet_market, "claim", "--withdraw")
    assert again["withdrawn"] == "0"
    assert (bank.paid_out() - had, bank.owed()) == (total, 0)
    assert bank.channel(deployed.channel) == settled

    after = quiet_publisher.run("bill", deployed.name).json
    assert after["problems"] == []
    assert (after["total_units"], after["claimed_units"]) == (str(total), str(total))
    assert after["lines"][0]["tx"] == claimed["transaction"]


STEADY_S = 60
"""Each end of a claim may leave out a second that was begun: two of so many are less than a twentieth."""


@pytest.mark.parametrize("quiet_market", [18], indirect=True, ids=["18-decimals"])
def test_what_was_estimated_is_invoiced(quiet_market: LiveLocalnet, quiet_publisher: Publisher) -> None:
    """A pod that always runs, between two claims: the chain pays the estimate's hour, in proportion."""

    def always(spec: Json) -> None:
        spec["scale"] = {"min": 1, "max": 1}

    file = quiet_publisher.manifest("hello", unique("estimated"), always)
    (offer,) = quiet_publisher.run("estimate", str(file)).json["offers"]
    deployed = quiet_publisher.deploy(file)
    bank = Bank(quiet_market)
    opened = bank.channel(deployed.channel)
    assert opened is not None

    def claimed() -> Channel | None:
        provider(quiet_market, "claim")
        channel = bank.channel(deployed.channel)
        return channel if channel is not None and channel.left < opened.left else None

    # A claim that comes right after the deploy may hold nothing yet: the hour would begin before the pod ran.
    first = until("a claim reaches into the time in which the pod ran", claimed)
    until("the steady time has passed", lambda: time.time() >= first.up_to + STEADY_S)
    provider(quiet_market, "claim")
    second = bank.channel(deployed.channel)
    assert second is not None
    seconds, paid = second.up_to - first.up_to, first.left - second.left
    expected = Decimal(offer["awake_hour"]) * 10**18 * seconds / 3600
    assert expected * Decimal("0.95") <= paid <= expected * Decimal("1.05")
