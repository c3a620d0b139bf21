# SPDX-License-Identifier: Apache-2.0
"""The daemon takes the configuration that the localnet writes, and its prices are what was meant."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.localnet.test_settings import settings
from trustedpods.contracts.records import Market
from trustedpods.contracts.terms import due
from trustedpods.localnet.market import pricing, provider_files
from trustedpods.localnet.settings import Knobs
from trustedpods.protocol.ids import Address
from trustedpods.protocol.units import Usage
from trustedpods.provider.config import ProviderConfig, load_config
from trustedpods.provider.facade.haproxy.text import haproxy_config

ADDRESS = Address("0x5FbDB2315678afecb367f032d93F642f64180aa3")
MARKET = Market(31337, ADDRESS, ADDRESS, ADDRESS, 0)
PLACES = {name: Path(f"/{name}") for name in ("machine", "owner_key", "operator_key", "kubeconfig", "keys")}


def written(tmp_path: Path, **more: object) -> ProviderConfig:
    one = settings(clusters=1, **more)
    text = provider_files.provider_toml(one, one.all_clusters()[0], MARKET, ADDRESS, PLACES)
    file = tmp_path / "provider.toml"
    file.write_text(text)
    return load_config(file)


def test_an_embedded_cluster_is_sealed_and_simulated(tmp_path: Path) -> None:
    config = written(tmp_path, knobs=Knobs(claim_interval_s=3, grace_s=7))
    assert (config.identity.trust, config.identity.tee) == ("sealed", "simulated:/machine")
    assert (config.terms.claim_interval_s, config.terms.grace_s) == (3, 7)
    assert config.net.listen == ["/ip4/10.137.0.11/tcp/4001"]


def test_an_existing_cluster_is_open_and_proves_nothing(tmp_path: Path) -> None:
    config = written(tmp_path, octet=0, kubeconfig=Path("/kubeconfig"))
    assert (config.identity.trust, config.identity.tee) == ("open", "none")
    assert config.net.listen == ["/ip4/127.0.0.1/tcp/4001"]


@pytest.mark.parametrize("decimals", [6, 18])
@pytest.mark.parametrize("percent", [100, 150])
def test_an_hour_of_a_core_costs_what_it_should(decimals: int, percent: int) -> None:
    prices = pricing.prices(decimals, percent)
    wanted = Fraction("3.6") * 10**decimals * percent / 100
    assert due(Usage(cpu_core_ms=3_600_000), prices) == pytest.approx(float(wanted), rel=1e-6)


def test_a_small_pod_costs_something_within_seconds() -> None:
    second = Usage(cpu_core_ms=100, memory_mib_s=32)
    assert due(second, pricing.prices(6, 100)) > 0


@pytest.mark.parametrize("decimals", [6, 18])
def test_a_second_awake_is_worth_a_claim_and_minutes_asleep_are_not(tmp_path: Path, decimals: int) -> None:
    config = written(tmp_path, knobs=Knobs(decimals=decimals))
    asleep = Usage(storage_mib_s=config.terms.idle_mib * 600)
    least = due(asleep, pricing.prices(decimals, 100))
    assert least < config.terms.min_claim < due(Usage(cpu_core_ms=100), pricing.prices(decimals, 100))


def test_the_facade_listens_where_the_caller_is() -> None:
    one = settings(clusters=1)
    text = haproxy_config(provider_files.facade_config(one, one.all_clusters()[0]))
    assert "bind 127.0.0.1:18080 namespace tp-market-host" in text
    assert "bind 10.137.0.11:80" in text
