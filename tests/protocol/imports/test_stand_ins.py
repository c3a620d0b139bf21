# SPDX-License-Identifier: Apache-2.0
"""Neither command nor daemon loads what stand-ins stand for, and what needs it still works."""

import pytest

from tests.protocol.imports.children import said_by
from trustedpods.protocol.imports.stand_ins import BESIDE, BLS12_381_ORDER, SECP256K1_ORDER

PROCESSES = (
    "trustedpods.publisher.verbs.deploy",
    "trustedpods.provider.daemon.main",
    "trustedpods.contracts.eip712",
)
"""A verb that asks a chain, the daemon, and a module that names eth_account before anything of ours."""


@pytest.mark.parametrize("module", PROCESSES)
def test_pairings_are_not_loaded_and_the_recursion_limit_stays(module):
    code = f"import sys; limit = sys.getrecursionlimit(); import {module}\n"
    code += "from eth_account import Account\n"
    code += "loaded = [name for name in sys.modules if name.partition('.')[0] in ('py_ecc', 'eth_keyfile')]\n"
    code += "print(sys.getrecursionlimit() == limit, *loaded)"
    kept, *loaded = said_by(code)
    assert kept == "True"
    assert "eth_keyfile.keyfile" in loaded
    assert not [name for name in loaded if name.startswith("py_ecc")]


def test_a_keystore_of_a_validator_is_still_made():
    """With the same public key as py_ecc's own, and with its curves' orders."""
    code = "import trustedpods.protocol, json; from eth_keyfile import create_keyfile_json\n"
    code += "store = create_keyfile_json((7).to_bytes(32, 'big'), b'word', 4, 'pbkdf2', 1)\n"
    code += "from py_ecc.bls import G2ProofOfPossession; from py_ecc.bls12_381 import curve_order\n"
    code += "from py_ecc.secp256k1 import N\n"
    code += "print(store['pubkey'] == G2ProofOfPossession.SkToPk(7).hex(), curve_order, N)"
    assert said_by(code) == ["True", str(BLS12_381_ORDER), str(SECP256K1_ORDER)]


def test_the_client_loads_nothing_that_stand_ins_stand_for():
    code = "import sys; import trustedpods.protocol.net.host, trustedpods.contracts.client\n"
    code += "import trustedpods.protocol.sealing.requests, httpcore; print(*sys.modules)"
    loaded = said_by(code)
    assert set(BESIDE) - {"eth_keyfile.keyfile"} <= set(loaded)
    heavy = {
        "rich",
        "pygments",
        "pycparser",
        "Crypto.PublicKey.RSA",
        "Crypto.Cipher.AES",
        "aioquic",
        "h2",
        "psutil",
        "eth_utils.network",
        "eth_typing.networks",
    }
    assert heavy & set(loaded) == set()


def test_what_stand_ins_stand_for_works_when_it_is_used():
    """Peers with other keys, the key types of keystores, httpx's command, an account with its keystore."""
    code = "import trustedpods.protocol.net.host, trustedpods.contracts.client\n"
    code += "import typing, httpx, eth_account.messages\n"
    code += "from eth_account._utils import validation; kinds = typing.get_args(validation.KDFType)\n"
    code += "from libp2p.crypto.serialization import deserialize_private_key, deserialize_public_key\n"
    code += "from libp2p.crypto import rsa, secp256k1\n"
    code += "for pair in (rsa.create_new_key_pair(2048), secp256k1.create_new_key_pair()):\n"
    code += "    same = deserialize_public_key(pair.public_key.serialize()) == pair.public_key\n"
    code += "    again = deserialize_private_key(pair.private_key.serialize()).to_bytes()\n"
    code += "    print(same, again == pair.private_key.to_bytes())\n"
    code += "from eth_keyfile.keyfile import KDFType; print(typing.get_args(KDFType) == kinds)\n"
    code += "from eth_account import Account; kept = Account.encrypt(b'k' * 32, 'word', 'pbkdf2', 1)\n"
    code += "print(Account.decrypt(kept, 'word') == b'k' * 32, eth_account.Account is Account)\n"
    code += "import eth_typing, eth_utils, eth_utils.curried\n"
    code += "print(eth_utils.name_from_chain_id(1) == eth_utils.curried.name_from_chain_id(1) != '')\n"
    code += "print(eth_typing.ChainId(1) is eth_utils.network_from_chain_id(1).symbol)\n"
    code += "print(isinstance(eth_utils.network_from_chain_id(1), eth_utils.Network))\n"
    code += "httpx.main(['--help'])"
    told = said_by(code)
    assert told[:10] == ["True"] * 10
    assert "HTTPX" in told


def test_the_second_version_of_http_is_there_when_it_is_asked_for():
    code = "import trustedpods.protocol, httpcore; place = httpcore.Origin(b'https', b'a', 443)\n"
    code += "made = httpcore.HTTP2Connection(place, None), httpcore.AsyncHTTP2Connection(place, None)\n"
    code += "from httpcore._sync.http2 import HTTP2Connection\n"
    code += "from httpcore._async.http2 import AsyncHTTP2Connection\n"
    code += "print(type(made[0]) is HTTP2Connection, isinstance(made[0], httpcore.HTTP2Connection))\n"
    code += "print(type(made[1]) is AsyncHTTP2Connection, isinstance(1, httpcore.AsyncHTTP2Connection))"
    assert said_by(code) == ["True", "True", "True", "False"]


def test_what_is_loaded_already_gets_no_stand_in():
    code = "import aioquic, libp2p.transport.quic.stream, trustedpods.protocol.net.host\n"
    code += "import libp2p.custom_types as types; print(types.QUICStream.__module__)"
    assert said_by(code) == ["libp2p.transport.quic.stream"]
