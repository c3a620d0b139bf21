# SPDX-License-Identifier: Apache-2.0
"""Bytecode onto a chain, and back: deploying, and verifying what is deployed."""

from eth_abi.abi import encode

from trustedpods.contracts.client.artifacts import artifact
from trustedpods.contracts.client.node import Node
from trustedpods.contracts.client.rpc.methods import CallRequest
from trustedpods.contracts.client.transactions.sender import Sender
from trustedpods.contracts.records import Market
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.ids import Address

_CONSTRUCTORS = {
    "PodPayments": ["address"],
    "PodRegistry": [],
    "TestToken": ["string", "string", "uint8"],
}


async def deploy_market(
    rpc_url: str, key: bytes, decimals: int, *, symbol: str, finality_blocks: int
) -> Market:
    """Deploy token, payments and registry; see `trustedpods.contracts.deploy`."""
    node = Node(rpc_url)
    try:
        chain_id = await node.read(node.eth.chain_id)
        sender = Sender(node, chain_id)
        token = await _create(sender, key, "TestToken", "Trusted Pods Test", symbol, decimals)
        payments = await _create(sender, key, "PodPayments", token)
        registry = await _create(sender, key, "PodRegistry")
    finally:
        node.close()
    return Market(chain_id, payments, registry, token, finality_blocks)


async def _create(sender: Sender, key: bytes, name: str, *arguments: str | int) -> Address:
    code = bytes.fromhex(artifact(name).bytecode.removeprefix("0x"))
    _, mined = await sender.send(key, CallRequest(None, code + encode(_CONSTRUCTORS[name], arguments)))
    if mined.created is None:
        raise NetworkFailure("the chain node does not say where the contract is")
    return mined.created


async def unlike_packaged(rpc_url: str, market: Market) -> list[str]:
    """Names of the market's contracts whose code is not the packaged one (immutables aside)."""
    node = Node(rpc_url)
    places = {"PodPayments": market.payments, "PodRegistry": market.registry, "TestToken": market.token}
    try:
        return [
            name
            for name, address in places.items()
            if not _same_code(name, await node.read(node.eth.code, address))
        ]
    finally:
        node.close()


def _same_code(name: str, code: bytes) -> bool:
    expected = artifact(name)
    if len(code) != len(expected.runtime):
        return False
    masked = bytearray(code)
    for start, length in expected.immutables:
        masked[start : start + length] = bytes(length)
    return bytes(masked) == expected.runtime
