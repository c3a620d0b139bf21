# SPDX-License-Identifier: Apache-2.0
"""Neither command nor daemon loads py_ecc, and what needs it still works."""

import subprocess
import sys

import pytest

from trustedpods.protocol.imports.without_bls import BLS12_381_ORDER, SECP256K1_ORDER

PROCESSES = (
    "trustedpods.publisher.verbs.deploy",
    "trustedpods.provider.daemon.main",
    "trustedpods.contracts.eip712",
)
"""A verb that asks a chain, the daemon, and a module that names eth_account before anything of ours."""


def said_by(code: str) -> list[str]:
    """What Python prints of *code*, in a process of its own: this one has imported much."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout.split()


@pytest.mark.parametrize("module", PROCESSES)
def test_pairings_are_not_loaded_and_the_recursion_limit_stays(module):
    code = f"import sys; limit = sys.getrecursionlimit(); import {module}\n"
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
