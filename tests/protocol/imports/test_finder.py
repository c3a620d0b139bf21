# SPDX-License-Identifier: Apache-2.0
"""Of libp2p only its parts are loaded, and its root still works for whoever imports it."""

from tests.protocol.imports.children import said_by

EXTRAS = [
    "aioquic",
    "aiohttp",
    "requests",
    "websockets",
    "wsproto",
    "zeroconf",
    "dns",
    "miniupnpc",
    "acme",
    "cryptography.x509",
]
"""What the root of libp2p brings and `protocol/net` has no use for."""


def test_the_door_to_libp2p_loads_neither_its_root_nor_other_transports():
    code = "import sys; import trustedpods.protocol.net.host\nprint(*sys.modules)"
    loaded = said_by(code)
    assert "libp2p.security.noise.transport" in loaded
    assert not [name for name in EXTRAS if name in loaded]
    assert "libp2p.host.basic_host" not in loaded


def test_the_root_is_there_for_who_asks_for_it():
    """After the door has loaded its parts, in which the root's own order of imports would be another."""
    code = "import trustedpods.protocol.net.host; from libp2p import new_host; import libp2p.network\n"
    code += "from libp2p.network import AutoConnector; from libp2p.transport.quic.stream import QUICStream\n"
    code += "from libp2p.transport import TCP; from libp2p.security import noise\n"
    code += "from libp2p.abc import INetStream; import libp2p\n"
    code += "print(callable(new_host), QUICStream.__module__, TCP.__name__, libp2p.new_host is new_host)"
    assert said_by(code) == ["True", "libp2p.transport.quic.stream", "TCP", "True"]


def test_threads_that_ask_at_the_same_time_all_get_it():
    code = """
import threading
import trustedpods.protocol
import eth_account
start, got = threading.Barrier(8), []
def ask():
    start.wait()
    from eth_account import Account
    got.append(Account)
threads = [threading.Thread(target=ask) for _ in range(8)]
[one.start() for one in threads]
[one.join() for one in threads]
print(len(got), len(set(got)))
"""
    assert said_by(code) == ["8", "1"]


def test_a_package_whose_code_failed_once_is_run_again():
    code = """
import sys
import trustedpods.protocol
import eth_account
sys.modules["eth_account.account"] = None
try:
    eth_account.Account
except ImportError:
    print("failed")
del sys.modules["eth_account.account"]
print(eth_account.Account.__name__)
"""
    assert said_by(code) == ["failed", "Account"]
