# SPDX-License-Identifier: Apache-2.0
"""A real Safe (1.4.1, one owner) on a chain of tests, which executes files of the Transaction Builder.

The contracts are fetched by npm into the cache once, and pinned by their digest.
"""

import hashlib
import json
import subprocess
import tarfile
from pathlib import Path

from eth_abi.abi import encode
from eth_account import Account

from tests.live.observers.waiting import until
from trustedpods.localnet.cluster import binaries
from trustedpods.protocol.ids import address_from_bytes, keccak256
from trustedpods.protocol.sealing.signatures import sign

PACKAGE, VERSION = "@safe-global/safe-contracts", "1.4.1"
SHA256 = "8803f7cf26e2c58300b8136342faa7b8bce59436e300f52115fa25b095e0bf79"
NOBODY = "0x" + 40 * "0"
DELEGATE_CALL = 1
PAYS_WEI = 10**20


def _archive() -> Path:
    folder = binaries.cache() / f"safe-contracts-{VERSION}"
    archive = folder / f"safe-global-safe-contracts-{VERSION}.tgz"
    if not archive.exists():
        drafts = folder / "draft"
        drafts.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", f"{PACKAGE}@{VERSION}"], cwd=drafts, check=True, capture_output=True)
        (drafts / archive.name).replace(archive)  # whole, or not there: it may be killed
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
    return archive


def _bytecode(name: str) -> str:
    with tarfile.open(_archive()) as archive:
        place = f"package/build/artifacts/contracts/{name}.sol/{name.rpartition('/')[2]}.json"
        return json.load(archive.extractfile(place))["bytecode"]


def _called(signature: str, *values: object) -> str:
    types = signature.partition("(")[2][:-1]
    listed = types.split(",") if types else []
    return "0x" + (keccak256(signature.encode())[:4] + encode(listed, values)).hex()


class Safe:
    """A Safe whose only owner is *owner*; *rpc* asks an anvil. Who sends is an account that anvil lets in."""

    def __init__(self, rpc, owner: bytes, sender: str) -> None:
        self._rpc, self._owner, self._sender = rpc, owner, sender
        rpc("anvil_setBalance", sender, hex(PAYS_WEI))
        rpc("anvil_impersonateAccount", sender)
        singleton = self._create("Safe")
        factory = self._create("proxies/SafeProxyFactory")
        self._many = self._create("libraries/MultiSendCallOnly")
        setup = _called(
            "setup(address[],uint256,address,bytes,address,address,uint256,address)",
            [Account.from_key(owner).address], 1, NOBODY, b"", NOBODY, NOBODY, 0, NOBODY,
        )  # fmt: skip
        words = _called("createProxyWithNonce(address,bytes,uint256)", singleton, bytes.fromhex(setup[2:]), 0)
        (made,) = [log for log in self._send(factory, words)["logs"] if log["address"] == factory.lower()]
        self.address = address_from_bytes(bytes.fromhex(made["topics"][1][-40:]))

    def execute(self, batch: dict) -> None:
        """All transactions of a file, or none: as the Transaction Builder has them executed."""
        packed = b"".join(
            b"\0"
            + bytes.fromhex(one["to"][2:])
            + int(one["value"]).to_bytes(32, "big")
            + len(data := bytes.fromhex(one["data"][2:])).to_bytes(32, "big")
            + data
            for one in batch["transactions"]
        )
        words = bytes.fromhex(_called("multiSend(bytes)", packed)[2:])
        asked = (self._many, 0, words, DELEGATE_CALL, 0, 0, 0, NOBODY, NOBODY)
        types = "address,uint256,bytes,uint8,uint256,uint256,uint256,address,address"
        nonce = int(self._ask(_called("nonce()")), 16)
        digest = self._ask(_called(f"getTransactionHash({types},uint256)", *asked, nonce))
        signature = sign(self._owner, bytes.fromhex(digest[2:]))
        receipt = self._send(self.address, _called(f"execTransaction({types},bytes)", *asked, signature))
        assert receipt["status"] == "0x1", receipt

    def _ask(self, data: str) -> str:
        return str(self._rpc("eth_call", {"to": self.address, "data": data}, "latest"))

    def _create(self, name: str) -> str:
        return str(self._send(None, _bytecode(name))["contractAddress"])

    def _send(self, to: str | None, data: str) -> dict:
        fields = {"from": self._sender, "data": data, "gas": hex(10**7)} | ({"to": to} if to else {})
        sent = self._rpc("eth_sendTransaction", fields)
        return until("it is mined", lambda: self._rpc("eth_getTransactionReceipt", sent))
