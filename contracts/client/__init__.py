# SPDX-License-Identifier: Apache-2.0
"""The only door to a chain: asks, sends, and carries what it sent to finality. It decides nothing.

Importing it loads web3 (about a second): do it inside the verb.
"""

from trustedpods.contracts.client.chain import Chain

__all__ = ["Chain"]
