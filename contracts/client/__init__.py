# SPDX-License-Identifier: Apache-2.0
"""The only door to a chain. Importing it loads web3 (about a second): do it inside the verb."""

from trustedpods.contracts.client.chain import Chain

__all__ = ["Chain"]
