# SPDX-License-Identifier: Apache-2.0
"""The daemon's settings in the guest: whole, strict, and the image's where they are not the operator's."""

import tomllib

from tests.localnet.guest.configurations import OPERATOR_KEY, OWNER, one_cluster, read
from trustedpods.localnet.guest import daemon_files
from trustedpods.localnet.guest.machine_network import PUBLIC
from trustedpods.provider.config import ExposureSection, ProviderConfig


def config() -> ProviderConfig:
    return ProviderConfig.model_validate(tomllib.loads(daemon_files.provider_toml(one_cluster(), read())))


def test_the_daemon_takes_its_settings():
    found = config()
    assert found.identity.owner.lower() == OWNER.lower()
    assert (found.identity.trust, found.identity.tee) == ("sealed", "hardware")
    assert found.identity.owner_key_file is None
    assert found.net.listen == ["/ip4/10.0.2.15/tcp/4001"]
    assert found.net.announce == ["/ip4/192.0.2.1/tcp/4001"]
    assert found.terms.unlock_s == 60


def test_pods_have_user_ids_of_their_own():
    assert config().cluster.user_namespaces is True


def test_keys_lie_in_memory_and_not_in_the_settings():
    found, memory = config(), one_cluster().path("keys")
    assert found.identity.keys_dir == str(memory)
    assert daemon_files.operator_key(one_cluster()).parent == memory
    assert OPERATOR_KEY not in daemon_files.provider_toml(one_cluster(), read())


def test_nothing_is_offered_that_would_open_another_port_of_the_card():
    found = config()
    assert found.exposure == ExposureSection()
    assert found.exposure.node_ports is False
    assert found.facade.pools.tcp == 0
    assert found.webhooks.allow_private is False
    assert found.metrics is not None
    assert found.metrics.listen.startswith("127.0.0.1:")


def test_the_facade_listens_where_the_card_lets_requests_in():
    facade = daemon_files.facade_config(one_cluster(), "10.0.2.15")
    assert {bind.port for bind in (*facade.binds, *facade.tls_binds)} <= set(PUBLIC)
    assert facade.exporter is None
    assert all(bind.namespace is None for bind in (*facade.binds, *facade.tls_binds))
