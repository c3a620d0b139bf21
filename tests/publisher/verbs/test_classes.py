# SPDX-License-Identifier: Apache-2.0
"""A class is a minimum, and no later visit goes on below the one that was proved when the pod was sent."""

import pytest

from trustedpods.protocol.errors import EvidenceRefused, ExitCode, Refused
from trustedpods.publisher.verbs.watch import WatchOptions, watch_round
from trustedpods.publisher.visits import records


@pytest.fixture
async def sealed(bench):
    """A sealed provider that is cheaper than an open one, with a pod that any class would do for."""
    peer = bench.peer()
    async with bench.peer(trust="open", cpu_price=9000).serve() as other, peer.serve():
        result = await bench.deploy(trust="open")
        assert result.chosen.provider.owner == peer.owner
        assert result.chosen.machine.verdict.trust == "sealed"
        yield peer
    assert "provision" not in other.log


async def test_the_cheapest_takes_a_pod_of_class_open_whatever_its_class(bench):
    async with bench.peer(cpu_price=9000).serve(), bench.peer(trust="open").serve() as cheap:
        result = await bench.deploy(trust="open")
        assert (await bench.deploy(name="other")).chosen.machine.verdict.trust == "sealed"
    assert result.chosen.provider.owner == cheap.owner
    (first, _) = records.mine(bench.account, bench.journal())
    assert first.trust == "open"


async def test_a_pod_that_was_sent_to_a_sealed_provider_keeps_that_class(bench, sealed):
    (record,) = records.mine(bench.account, bench.journal())
    assert record.trust == "sealed"
    assert (await bench.status()).phase == "serving"
    assert (await bench.deploy(trust="open")).chosen.provider.owner == sealed.owner  # an update, as it was
    (record,) = records.mine(bench.account, bench.journal())
    assert record.trust == "sealed"


async def test_a_provider_that_sank_gets_no_visit_and_no_update(bench):
    peer = bench.peer()
    async with peer.serve():
        await bench.deploy(trust="open")
    peer.trust = "open"
    peer.reboot()
    peer.log.clear()
    async with peer.serve():
        with pytest.raises(EvidenceRefused):
            await bench.status()
        (seen,) = (await watch_round(bench.account, WatchOptions(patience_s=0), bench.journal())).pods
        assert seen.exit_code == ExitCode.EVIDENCE
        for trust in (None, "open"):
            with pytest.raises(Refused, match="sealed when hello was sent there") as caught:
                await bench.deploy(trust=trust)
            assert caught.value.rule == "trust"
            assert "trustedpods close hello" in caught.value.hint
    assert set(peer.log) == {"attest"}


async def test_a_provider_that_only_changes_its_row_gains_nothing(bench, sealed):
    """The row says sealed still, the machine proves less: the evidence counts."""
    sealed.trust = "open"
    sealed.binding = sealed.binding.model_copy(update={"trust": "open"})
    with pytest.raises(EvidenceRefused):
        await bench.deploy(trust="open")
