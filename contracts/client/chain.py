# SPDX-License-Identifier: Apache-2.0
"""`Chain`: everything that this project asks of a chain, under trio."""

from trustedpods.contracts.client.payments import PaymentActions
from trustedpods.contracts.client.registry import RegistryActions
from trustedpods.contracts.client.rpc.methods import CallRequest
from trustedpods.contracts.client.signers.signer import SigningKey, address_with
from trustedpods.contracts.records import OperatorRights, Receipt, TokenInfo
from trustedpods.protocol.ids import Address
from trustedpods.protocol.units import TokenUnits

_SYMBOL_LENGTH = 16


class Chain(PaymentActions, RegistryActions):
    """One market on one node.

    Reads raise `NetworkFailure` when they could not be made; that is never "there is none".
    Writes take a private key (32 bytes), wait until they lie `Market.finality_blocks` deep, and
    raise `Refused` with the contract's error as `rule`, `InsufficientFunds`, or `NetworkFailure`
    with the hash of what may still be mined: the same call again goes on with that. Safe for
    concurrent use in one process, and by processes that share a `journal`.
    """

    async def token_info(self) -> TokenInfo:
        """Symbol and decimals of the market's token; the symbol is cut to what can be printed."""
        symbol = await self._call(self._token.functions.symbol())
        decimals = await self._call(self._token.functions.decimals())
        printable = "".join(c for c in symbol if c.isprintable())
        return TokenInfo(printable[:_SYMBOL_LENGTH] or "?", decimals)

    async def token_balance(self, who: Address) -> TokenUnits:
        """Base units of the token that *who* holds."""
        return TokenUnits(await self._call(self._token.functions.balanceOf(who)))

    async def gas_balance(self, who: Address) -> int:
        """What *who* holds of the chain's own coin, in wei."""
        return await self._node.read(self._node.eth.balance, who)

    async def has_code(self, who: Address) -> bool:
        """Whether a contract is at that address."""
        return bool(await self._node.read(self._node.eth.code, who))

    async def gas_price(self) -> int:
        """What a unit of gas costs now, in wei: the newest block's fee and the usual tip."""
        return await self._node.read(self._node.eth.gas_price)

    async def set_operator(self, key: SigningKey, operator: Address, allowed: bool = True) -> Receipt | None:
        """Let *operator* hand in moves and keep the registry rows of the key's owner, or not.

        Both contracts keep their own list; None when both say so already.
        """
        owner = address_with(key)
        receipt = None
        for contract in (self._payments, self._registry):
            if await self._call(contract.functions.isOperator(owner, operator)) != allowed:
                receipt = await self._do(key, contract.functions.setOperator(operator, allowed))
        return receipt

    async def is_operator(self, owner: Address, operator: Address) -> bool:
        """Whether *operator* may act for *owner* in both contracts."""
        return (await self.operator_rights(owner, operator)).all

    async def operator_rights(self, owner: Address, operator: Address) -> OperatorRights:
        """In which contracts *owner* named *operator*."""
        return OperatorRights(
            registry=await self._call(self._registry.functions.isOperator(owner, operator)),
            payments=await self._call(self._payments.functions.isOperator(owner, operator)),
        )

    async def mint(self, key: SigningKey, to: Address, amount: int) -> Receipt:
        """Make test money; only the test token's deployer may ("NotMinter")."""
        return await self._do(key, self._token.functions.mint(to, amount))

    async def send_tokens(self, key: SigningKey, to: Address, amount: int) -> Receipt:
        """Send base units of the market's token."""
        return await self._do(key, self._token.functions.transfer(to, amount))

    def transfer_data(self, to: Address, amount: int) -> bytes:
        """What the token is called with by whoever sends base units of it."""
        return self._token.functions.transfer(to, amount).data

    async def send_gas(self, key: SigningKey, to: Address, wei: int) -> Receipt:
        """Send some of the chain's own coin."""
        receipt, _ = await self._sender.send(key, CallRequest(to, value=wei))
        return receipt
