# SPDX-License-Identifier: Apache-2.0
"""The payment and registry contracts: Solidity, its twin in plain numbers, and the door to a chain."""

from trustedpods.protocol.imports import install

install()
