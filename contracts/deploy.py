# SPDX-License-Identifier: Apache-2.0
"""Deploys a market (a test token, the payment contract for it, a registry) and verifies one."""

from trustedpods.contracts.records import Market


async def deploy(
    rpc_url: str, key: bytes, decimals: int = 6, *, symbol: str = "TPT", finality_blocks: int = 0
) -> Market:
    """Deploy all three by the account behind *key*, which may mint the token afterwards."""
    from trustedpods.contracts.client.deployment import deploy_market  # noqa: PLC0415  loads the door

    return await deploy_market(rpc_url, key, decimals, symbol=symbol, finality_blocks=finality_blocks)


async def unlike_source(rpc_url: str, market: Market) -> list[str]:
    """Names of the market's contracts whose code is not the packaged one."""
    from trustedpods.contracts.client.deployment import unlike_packaged  # noqa: PLC0415  loads the door

    return await unlike_packaged(rpc_url, market)
