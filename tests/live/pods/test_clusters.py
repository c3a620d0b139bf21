# SPDX-License-Identifier: Apache-2.0
"""Two clusters with a provider each: the cheaper one is taken, and the other when that one is gone."""

import pytest

from tests.live.clients import daemons, web
from tests.live.clients.publisher import Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.localnet.market import accounts
from trustedpods.localnet.market.provider import config_file

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def person(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    """Their pods go with the localnet."""
    folder = tmp_path_factory.mktemp("publisher")
    return Publisher(pair, Bank(pair).new_account(folder), folder)


def names(pair: LiveLocalnet) -> list[str]:
    """The providers of k1 and k2, as commands name them."""
    return [f"{accounts.address(accounts.owner_key(one))}/1" for one in pair.settings.all_clusters()]


def test_both_are_listed_the_cheaper_first(pair: LiveLocalnet, person: Publisher) -> None:
    listed = person.run("provider", "list", "--attest").json["providers"]
    assert [one["name"] for one in listed] == names(pair)
    assert float(listed[0]["core_hour"]) < float(listed[1]["core_hour"])
    assert all("SIMULATED" in one["evidence"] for one in listed)


def test_clusters_and_localnets_run_side_by_side(market: LiveLocalnet, pair: LiveLocalnet) -> None:
    assert pair.settings.octet != market.settings.octet
    assert len({pair.facade(1), pair.facade(2), market.facade()}) == 3
    for index in (1, 2):
        assert "Ready" in pair.kubectl("get", "nodes", index=index)
    assert "Ready" in market.kubectl("get", "nodes")


def stop_for_good(pair: LiveLocalnet) -> None:
    """The daemon of k1 ends and finds no configuration when it is started again."""
    file = config_file(pair.cluster())
    file.rename(file.with_suffix(".away"))
    daemons.kill(pair)
    until("k1's daemon is down", lambda: pair.parts()[daemons.part()]["state"] != "ready")


def test_the_cheaper_is_taken_while_it_is_there(pair: LiveLocalnet, person: Publisher) -> None:
    cheap, dear = names(pair)
    for _ in range(2):
        deployed = person.deploy(person.manifest("hello", unique("cheap")))
        assert deployed.result["provider"]["name"] == cheap
        assert web.get(deployed.url).status == 200

    stop_for_good(pair)
    file = person.manifest("hello", unique("dear"))
    said = person.run("deploy", file.name)
    assert said.json["provider"]["name"] == dear
    [warning] = [line for line in said.err.splitlines() if line.startswith("warning: ")]
    assert cheap in warning
    assert "cannot connect" in warning
    [tried] = next(step["tried"] for step in said.json["steps"] if step["name"] == "select")
    assert (tried["provider"], tried["error"]["rule"]) == (cheap, "connect")
    assert web.get(said.json["endpoints"][0]["url"]).status == 200
