# SPDX-License-Identifier: Apache-2.0
"""Reports and their audit: an honest provider's holds, a dishonest one's is found out."""

import pytest

from tests.live.clients import web
from tests.live.clients.publisher import LIMIT_S, Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.books import Books
from tests.live.observers.waiting import until

pytestmark = pytest.mark.live


def audit(person: Publisher, pod: Deployed, code: int = 0) -> Json:
    """Verdicts of all checks, by name."""
    said = person.run("audit", pod.name, "--manifest", pod.file.name, code=code).json
    return said | {"verdicts": {check["check"]: check["holds"] for check in said["checks"]}}


def settled(person: Publisher, pod: Deployed) -> Json:
    """The bill, as soon as something of it was claimed."""

    def look() -> Json | None:
        found = person.run("bill", pod.name).json
        return found if any(line["tx"] for line in found["lines"]) else None

    bill = until("a claim was mined", look)
    assert bill is not None
    return bill


def test_an_audit_holds_on_an_honest_provider_and_finds_each_cheat(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    books = Books(market)
    pod = publisher.deploy(publisher.manifest("hello", unique("audited")))
    assert web.get(pod.url).status == 200
    settled(publisher, pod)

    # What this audit is told is kept by the client: only of that a lie shows as a change.
    [(last,)] = books.rows("select max(up_to) from cuts where channel = ? and paid is not null", pod.channel)
    honest = audit(publisher, pod)
    assert honest["holds"] is True
    known = {name for name, holds in honest["verdicts"].items() if holds}
    assert known == {
        "proofs", "roots", "pay", "whole", "sum", "meter", "replicas", "storage", "unchanged",
    }  # fmt: skip
    assert honest["verdicts"]["traffic"] is None

    # a leaf that is told otherwise than it was signed
    tampered = "update cuts set cpu_core_ms = cpu_core_ms + ? where channel = ? and up_to <= ?"
    assert books.change(tampered, 7, pod.channel, last)
    told = audit(publisher, pod, code=3)
    assert {"proofs", "unchanged"} <= {name for name, holds in told["verdicts"].items() if holds is False}
    assert books.change(tampered, -7, pod.channel, last)
    assert audit(publisher, pod)["holds"] is True

    # a replica that never was, honestly signed, claimed and paid
    run = """insert into runs (uid, channel, namespace, started, ended, cpu_milli, memory_mib, scratch_mib)
             select 'ghost', ?, ?, max(up_to), max(up_to) + 2, 64000, 64, 0
             from cuts where channel = ?"""  # in one statement: the next cut may come at any moment
    raised = "update ceilings set cpu_milli = cpu_milli + ? where channel = ?"  # else an honest meter cuts it
    assert books.change(raised, 64000, pod.channel)
    assert books.change(run, pod.channel, pod.namespace, pod.channel)

    def claimed() -> Json | None:
        said = publisher.start("audit", pod.name, "--manifest", pod.file.name, "-o", "json")
        with said:
            said.communicate(timeout=LIMIT_S)
        return audit(publisher, pod, code=3) if said.returncode == 3 else None

    found = until("the ghost was claimed", claimed)
    assert found is not None
    failed = {check["check"]: check["detail"] for check in found["checks"] if check["holds"] is False}
    assert set(failed) == {"replicas"}
    assert "is the most possible" in failed["replicas"]
    assert books.change("delete from runs where uid = 'ghost'")
    assert books.change(raised, -64000, pod.channel)
