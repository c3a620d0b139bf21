# SPDX-License-Identifier: Apache-2.0
"""The words that publisher and provider speak: ids, units, limits, messages, sealing, evidence.

Everything here is pure but `net`, which is the only door to libp2p, and `lockfile`, by which
processes of either side keep out of each other's way. This room never opens a socket (but in
`net`), reads a clock, a file or a chain, and never imports another room.
"""

from trustedpods.protocol.imports import install

install()
