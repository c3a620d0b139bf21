# SPDX-License-Identifier: Apache-2.0
"""A facade in front of a pod at a port of loopback, held until the input ends: `PYTHON held_facade.py PORT`.

It is made by the source that it is run in (`PYTHONPATH`), which may be another checkout than this one. Says
HAProxy's process id and port.
"""

import sys
import tempfile
from pathlib import Path

import trio

from tests.provider.facade.parts import HOST, live_facade
from trustedpods.provider.core.traffic import PodAddress


async def hold(pod: int) -> None:
    """One pod, awake, without limits."""
    with tempfile.TemporaryDirectory(prefix="facade-") as folder:
        async with live_facade(Path(folder)) as live:
            slot = (await live.facade.publish("pod", [HOST])).slot
            await live.facade.set_pods(slot, [PodAddress("pod", "127.0.0.1", pod)])
            print(live.haproxy.pid, live.port, HOST, flush=True)
            await trio.to_thread.run_sync(sys.stdin.read)


if __name__ == "__main__":
    trio.run(hold, int(sys.argv[1]))
