# SPDX-License-Identifier: Apache-2.0
import hashlib
import json
from pathlib import Path

import pytest

from trustedpods.protocol.errors import BadInput
from trustedpods.provider.cluster.objects.named_egress import ResolverPlace
from trustedpods.provider.config import load_config
from trustedpods.provider.doors import binding_of
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.lifecycle.pod_variables import sleep_place

GOOD = """
[market]
rpc = "http://10.0.0.1:8545"
chain_id = 31337
payments = "0x0101010101010101010101010101010101010101"
registry = "0x0202020202020202020202020202020202020202"
token = "0x0303030303030303030303030303030303030303"

[identity]
owner = "0x0404040404040404040404040404040404040404"
daemon = 1
operator_key_file = "/k/operator"
keys_dir = "/run/keys"
tee = "none"
trust = "open"
domain = "k1.example.org"

[net]
listen = ["/ip4/10.0.0.2/tcp/4001"]

[cluster]
kubeconfig = "/k/config"

[facade]
runtime_socket = "/run/f/runtime.sock"
activator_dir = "/run/f/slots"
wake_socket = "/run/f/wake.sock"
map_file = "/run/f/hosts.map"

[prices]
cpu_core_ms = 1
memory_mib_s = 1
storage_mib_s = 1
egress_kib = 0
ingress_kib = 0
scale = 64

[store]
path = "/var/lib/tp/store.db"
spool = "/var/lib/tp/spool"
"""


def load(tmp_path, text):
    path = tmp_path / "provider.toml"
    path.write_text(text)
    return load_config(path)


def test_a_good_file(tmp_path):
    config = load(tmp_path, GOOD)
    assert config.terms.grace_s == 86400
    assert config.admin_socket == Path("/var/lib/tp/operator.sock")
    assert config.metrics is None


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("daemon = 1", 'daemon = "1"', "identity.daemon"),
        ("daemon = 1", "daemon = -1", "identity.daemon"),
        ("chain_id = 31337", "chainid = 31337", "market"),
        ('tee = "none"', 'tee = "sgx"', "identity.tee"),
        ('keys_dir = "/run/keys"', 'keys_dir = "keys"', "identity.keys_dir"),
        ("0x0404040404040404040404040404040404040404", "0x04", "identity.owner"),
        ("scale = 64", "scale = 999", "prices.scale"),
        ("[prices]", "[pricing]", "pric"),
        ('listen = ["/ip4/10.0.0.2/tcp/4001"]', "listen = []", "net.listen"),
    ],
)
def test_every_mistake_is_named(tmp_path, old, new, where):
    with pytest.raises(BadInput) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert where in caught.value.where


OTHERS = 'other_rpcs = ["http://10.0.0.2:8545", "https://node.example/key"]'


@pytest.mark.parametrize("agree", [None, 1, 2, 3])
def test_several_nodes_of_the_chain(tmp_path, agree):
    more = OTHERS if agree is None else f"{OTHERS}\nrpc_agree = {agree}"
    market = load(tmp_path, GOOD.replace("chain_id =", f"{more}\nchain_id =")).market
    assert market.rpcs == ["http://10.0.0.1:8545", "http://10.0.0.2:8545", "https://node.example/key"]
    assert market.rpc_agree == agree


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (f"{OTHERS}\nrpc_agree = 4", "of 3 nodes 2 to 3 must agree, or 1"),
        ("rpc_agree = 2", "of 1 nodes 1 to 1 must agree"),
        ('other_rpcs = ["http://10.0.0.1:8545"]', "stands there twice"),
        ('other_rpcs = ["HTTP://10.0.0.1:8545/"]', "pattern"),
        ('other_rpcs = ["http://10.0.0.1:8545/"]', "stands there twice"),
        ('other_rpcs = ["10.0.0.2:8545"]', "pattern"),
    ],
)
def test_nodes_that_cannot_agree_are_refused(tmp_path, more, why):
    with pytest.raises(BadInput, match=why) as caught:
        load(tmp_path, GOOD.replace("chain_id =", f"{more}\nchain_id ="))
    assert "market" in caught.value.where


def test_what_is_no_toml(tmp_path):
    with pytest.raises(BadInput, match="not TOML"):
        load(tmp_path, "[market")


def test_what_is_no_file(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        load_config(tmp_path / "absent.toml")


def test_what_is_too_long(tmp_path):
    with pytest.raises(BadInput, match="larger"):
        load(tmp_path, "#" * 70_000)


def test_the_market_is_what_the_section_says(tmp_path):
    section = load(tmp_path, GOOD).market
    market = section.market
    written = (market.chain_id, market.payments, market.registry, market.token, market.finality_blocks)
    assert written == (
        section.chain_id,
        section.payments,
        section.registry,
        section.token,
        section.finality_blocks,
    )


def test_a_resolver_for_pods_is_asked_at_port_53(tmp_path):
    path = tmp_path / "provider.toml"
    path.write_text(GOOD + '[names]\nlisten = "10.0.0.5:5354"\naddress = "10.9.0.11"\n')
    assert load_config(path).resolver_place == ResolverPlace("10.9.0.11", "10.0.0.5", 5354)
    path.write_text(GOOD + '[names]\nlisten = "10.0.0.5:53"\n')
    assert load_config(path).resolver_place == ResolverPlace("10.0.0.5", "10.0.0.5", 53)
    path.write_text(GOOD)
    assert load_config(path).resolver_place is None


def test_pods_ask_for_their_own_sleep_beside_the_resolver(tmp_path):
    path = tmp_path / "provider.toml"
    table = '[names]\nlisten = "10.0.0.5:5354"\naddress = "10.9.0.11"\n'
    for more, place in (("", None), ("sleep_port = 5355\n", ("10.0.0.5", 5355))):
        path.write_text(GOOD + table + more)
        config = load_config(path)
        assert (sleep_place(config), config.allowed.own_sleep) == (place, place is not None)


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ('listen = "10.0.0.5:53"\nsleep_port = 0', "names.sleep_port"),
        ('listen = "10.0.0.5:5354"', "pods ask at port 53"),
        ('listen = "*:53"', "names.listen"),
        ('listen = "10.0.0.5:53"\naddress = "names.example"', "names.address"),
        ('listen = "10.0.0.5:53"\nleast_ttl_s = 0', "names.least_ttl_s"),
    ],
)
def test_mistakes_of_the_resolvers_table(tmp_path, table, where):
    path = tmp_path / "provider.toml"
    path.write_text(f"{GOOD}[names]\n{table}\n")
    with pytest.raises(BadInput, match=where):
        load_config(path)


def test_what_is_attested_of_settings_is_what_older_versions_attested(tmp_path):
    keys = BootKeys.load_or_create(tmp_path / "keys", require_tmpfs=False)
    config = load(tmp_path, GOOD)
    told = json.loads(config.model_dump_json(include={"market", "identity", "prices", "terms"}))
    del told["market"]["other_rpcs"], told["market"]["rpc_agree"]
    older = hashlib.sha256(json.dumps(told, separators=(",", ":")).encode()).digest()
    assert binding_of(config, keys, b"peer").config_digest == older
    several = load(tmp_path, GOOD.replace("chain_id =", f"{OTHERS}\nchain_id ="))
    assert binding_of(several, keys, b"peer").config_digest != older


AGENT = 'traffic_socket = "/run/t.sock"'
KERNEL = 'tcp = "kernel"\nways_socket = "/run/w.sock"\ntcp_binds = ["*:31000"]'


@pytest.mark.parametrize(
    ("facade", "cluster", "why"),
    [
        (KERNEL, AGENT, None),
        ('tcp = "haproxy"', "", None),
        (KERNEL, "", "cluster.traffic_socket"),
        (KERNEL.replace('\nways_socket = "/run/w.sock"', ""), AGENT, "ways_socket"),
        (KERNEL.replace('\ntcp_binds = ["*:31000"]', ""), AGENT, "tcp_binds"),
        ('tcp = "nft"', AGENT, "haproxy"),
    ],
)
def test_the_kernel_carries_tcp_only_where_an_agent_leads_and_counts(tmp_path, facade, cluster, why):
    text = GOOD.replace("[facade]", f"[facade]\n{facade}").replace("[cluster]", f"[cluster]\n{cluster}")
    if why is None:
        assert load(tmp_path, text).facade.tcp in facade
    else:
        with pytest.raises(BadInput, match=why):
            load(tmp_path, text)
