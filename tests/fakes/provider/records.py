# SPDX-License-Identifier: Apache-2.0
"""Pod records for tests: a good one, of which a test changes what it is about."""

from trustedpods.protocol.ids import PodRef, address_from_bytes
from trustedpods.provider.core.pod import ChannelFact, Phase, PodRecord, PodSize, Scaling

OWNER = address_from_bytes(b"\x01" * 20)
PUBLISHER = address_from_bytes(b"\x02" * 20)
METER = address_from_bytes(b"\x03" * 20)


def pod_record(**changes):
    """A record of a small pod; *changes* are fields of `PodRecord`."""
    fields = {
        "ref": PodRef(OWNER, PUBLISHER, b"\x05" * 32),
        "commanders": (PUBLISHER,),
        "generation": 7,
        "boot_id": b"\x06" * 32,
        "request": b"sealed request",
        "previous": None,
        "namespace": "tp-p-7",
        "exposures": {},
        "phase": Phase.SERVING,
        "reason": "",
        "live": False,
        "size": PodSize(cpu_milli=100, memory_mib=64, volume_mib=0, image_mib=1, scratch_mib=256),
        "scaling": Scaling(min_replicas=0, max_replicas=2, idle_after_s=5, concurrency=50),
        "meter": METER,
        "terms": None,
        "chain": ChannelFact(left=1000, up_to=50, unlock_at=0),
        "statement": None,
        "changed_at": 1,
        "stopped_at": None,
        "warned": False,
        "failing": False,
    }
    return PodRecord(**(fields | changes))
