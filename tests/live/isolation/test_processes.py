# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""A tenant that starts processes without end takes nothing from a neighbour of the same user id."""

import pytest

from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.run_times import RunTimes
from trustedpods.localnet.cluster.files import PIDS_PER_POD

pytestmark = pytest.mark.live

TRIED = 4000
FLOOD = f"""i=0
while [ $i -lt {TRIED} ]; do
  sleep 300 >/dev/null 2>&1 &
  i=$((i+1))
done
echo $i started"""
"""Its processes outlive the command that started them: they are there while the neighbour is asked."""

UNDER_A_LIMIT = (
    f"(ulimit -u {PIDS_PER_POD // 2}; sleep 0 & wait $! && echo forked) 2>/dev/null || echo refused"
)


def test_a_flood_of_processes_ends_at_the_pods_own_bound(market: LiveLocalnet, publisher: Publisher) -> None:
    def change(spec: Json) -> None:
        spec["containers"][0]["resources"]["limits"]["memory"] = "512Mi"
        spec["scale"] = {"min": 1, "max": 1}

    with RunTimes(market) as times:
        flooded, neighbour = (
            publisher.deploy(publisher.manifest("hello", unique(name), change)) for name in ("flood", "calm")
        )

        def run(pod: Deployed, script: str) -> str:
            [uid] = times.seen(pod.namespace)
            name = times.last[uid]["metadata"]["name"]
            return market.kubectl("-n", pod.namespace, "exec", name, "-c", "hello", "--", "sh", "-c", script)

        assert run(flooded, "id -u") == run(neighbour, "id -u")
        assert run(neighbour, UNDER_A_LIMIT).strip() == "forked"
        told = run(flooded, f"({FLOOD}) 2>&1 || true; set -- /proc/[0-9]*; echo $#")
        assert f"{TRIED} started" not in told
        assert PIDS_PER_POD // 2 < int(told.split()[-1]) <= PIDS_PER_POD
        assert run(neighbour, "sleep 0 & wait $! && echo forked").strip() == "forked"
        # the kernel does count both together: any limit that is handed down would be shared
        assert run(neighbour, UNDER_A_LIMIT).strip() == "refused"
