# SPDX-License-Identifier: Apache-2.0
import pytest

from trustedpods.protocol.errors import BadInput
from trustedpods.provider import settings_file
from trustedpods.provider.without_market import load_documents_config

GOOD = """
[market]
chain_id = 31337
payments = "0x0101010101010101010101010101010101010101"

[identity]
owner = "0x0404040404040404040404040404040404040404"
daemon = 1
keys_dir = "/var/lib/tp/keys"

[net]
listen = ["/ip4/10.0.0.2/tcp/4001"]

[cluster]
kubeconfig = "/k/config"

[store]
path = "/var/lib/tp/store.db"
"""


def test_a_page_is_enough(tmp_path):
    path = tmp_path / "documents.toml"
    path.write_text(GOOD)
    config = load_documents_config(path)
    assert config.market.context.chain_id == 31337
    assert (config.identity.trust, config.identity.tee) == ("open", "none")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("chain_id = 31337", 'chain_id = 31337\nrpc = "http://x"'), "market.rpc"),
        (("daemon = 1", "daemon = -1"), "identity.daemon"),
        (('keys_dir = "/var', 'keys_dir = "var'), "absolute path"),
        (("[store]", "[prices]\ncpu_core_ms = 1\n\n[store]"), "prices"),
        (("[market]", "[market"), "not TOML"),
        (("[net]", "[net]\noperator = true"), "net.operator"),
        (("[net]", "#" * settings_file.MAX_CONFIG_BYTES + "\n[net]"), "larger than"),
    ],
)
def test_what_has_no_place_in_it_is_named(tmp_path, change, told):
    path = tmp_path / "documents.toml"
    path.write_text(GOOD.replace(*change))
    with pytest.raises(BadInput) as caught:
        load_documents_config(path)
    assert told in str(caught.value)
