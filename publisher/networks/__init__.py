# SPDX-License-Identifier: Apache-2.0
"""A network's clusters as a command reaches them: each asked through its provider, all leases held at once.

It decides nothing about leases or copies: `core/networks` says what to ask next, and this carries it.
"""
