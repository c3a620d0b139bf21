# SPDX-License-Identifier: Apache-2.0
import pytest

from trustedpods.provider.core.admission import LOST_AFTER_S, LOST_LOOKS
from trustedpods.provider.pods.host_proofs import HostProofs

POD, OTHER = b"p" * 32, b"o" * 32
HOST = "www.example.org"


class Clock:
    now = 1_800_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def lost():
    """A host of a pod that is withheld."""
    clock = Clock()
    proofs = HostProofs(clock)
    first = [proofs.looked(POD, HOST, found=False) for _ in range(LOST_LOOKS)]
    assert first == [True] + [False] * (LOST_LOOKS - 1)
    assert not proofs.withheld(POD)
    clock.now += LOST_AFTER_S
    assert proofs.withheld(POD) == {HOST}
    assert not proofs.withheld(OTHER)
    return proofs


def test_a_proof_that_anybody_saw_counts_until_it_is_seen_to_be_absent(lost):
    """A deploy that proved it is not undone by a look at a DNS that says nothing."""
    lost.looked(POD, HOST, found=True)
    assert not lost.withheld(POD)
    lost.looked(POD, HOST, found=None)
    assert not lost.withheld(POD)


def test_what_was_proven_of_one_host_says_nothing_of_another(lost):
    """A deploy without the host does not bring it back, whether it comes in or is refused after all."""
    lost.looked(POD, "www.example.net", found=True)
    lost.looked(OTHER, HOST, found=True)
    assert lost.withheld(POD) == {HOST}


def test_what_is_not_known_of_a_pod_is_kept(lost):
    lost.keep_only({POD: None})
    assert lost.withheld(POD) == {HOST}


@pytest.mark.parametrize("standing", [{}, {POD: ()}, {POD: ("www.example.net",)}])
def test_a_host_that_the_pod_has_no_more_is_forgotten(lost, standing):
    lost.keep_only(standing)
    assert not lost.withheld(POD)
    assert not lost._proofs.get(POD)
