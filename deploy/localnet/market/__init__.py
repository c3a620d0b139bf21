# SPDX-License-Identifier: Apache-2.0
"""What makes a localnet a market: the chain, its contracts and accounts, and a provider for each cluster.

Its keys and tokens are worth nothing anywhere else.
"""
