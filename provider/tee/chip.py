# SPDX-License-Identifier: Apache-2.0
"""Which machine this is, as the registry row and every verdict name it."""

import trio

from trustedpods.protocol.attestation.chip import chip_digest_of
from trustedpods.protocol.attestation.report_data import REPORT_DATA_BYTES
from trustedpods.provider.tee.collector import Collector


async def own_chip(collector: Collector) -> bytes:
    """Digest of this machine's id, from evidence that binds nothing and goes nowhere."""
    evidence = await trio.to_thread.run_sync(collector.collect, bytes(REPORT_DATA_BYTES))
    return chip_digest_of(evidence)
