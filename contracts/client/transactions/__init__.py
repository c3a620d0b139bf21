# SPDX-License-Identifier: Apache-2.0
"""One key's transactions: signed, written down, handed in, and followed until they are final.

It knows nonces, fees and reorganisations; what a transaction says is its caller's affair.
"""
