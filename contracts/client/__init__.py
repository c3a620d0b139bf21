# SPDX-License-Identifier: Apache-2.0
"""The only door to a chain: asks, sends, and carries what it sent to finality. It decides nothing.

It speaks JSON-RPC over httpx and encodes by eth-abi. Importing it costs a few tenths of a second: do it
inside the verb.
"""

from trustedpods.contracts.client.chain import Chain
from trustedpods.contracts.client.transactions.journals import FolderJournal

__all__ = ["Chain", "FolderJournal"]
