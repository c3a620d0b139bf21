# SPDX-License-Identifier: Apache-2.0
"""Quantities as the API server writes them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.provider.pods import a_life, a_manifest
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.units import Resources
from trustedpods.provider.cluster.objects import sizes
from trustedpods.provider.cluster.objects.pod_objects import objects


@pytest.mark.parametrize(
    ("text", "milli", "mib"),
    [("2", 2000, 0), ("100m", 100, 0), ("1.5", 1500, 0), ("64Mi", 67108864000, 64), ("1G", 10**12, 953),
     ("128974848", 128974848000, 123), ("12e6", 12 * 10**9, 11), ("1500000n", 1, 0), (None, 0, 0)],
)  # fmt: skip
def test_quantities(text, milli, mib):
    assert sizes.milli(text) == milli
    assert sizes.mebibytes(text) == mib


@given(st.text(max_size=12))
def test_no_quantity_breaks_the_reader(text):
    with suppress(RemoteProtocolError):
        assert sizes.milli(text) >= 0


def part(name, cpu, **more):
    limits = {"cpu": f"{cpu}m", "memory": f"{cpu}Mi", "ephemeral-storage": f"{cpu}Mi"}
    return {"name": name, "image": "oci-archive:x.tar", "resources": {"limits": limits}, **more}


FIRST = st.lists(st.tuples(st.integers(1, 900), st.booleans()), max_size=5)
"""Init containers by their sizes, and which of them are sidecars."""


@pytest.mark.parametrize(
    ("first", "most"),
    [
        ([], 100),
        ([(300, False)], 300),
        ([(50, True)], 150),
        ([(50, True), (300, False)], 350),
        ([(300, False), (50, True)], 300),
        ([(300, True), (50, True)], 450),
    ],
)
def test_sidecars_count_with_whatever_runs_after_them(first, most):
    assert requested(first) == Resources(most, most, most)


@given(FIRST)
def test_what_is_billed_is_what_the_scheduler_sets_aside(first):
    assert requested(first) == manifest_of(first).replica_size


def manifest_of(first):
    made = [
        part(f"f{number}", size, **({"restartPolicy": "Always"} if sidecar else {}))
        for number, (size, sidecar) in enumerate(first)
    ]
    return a_manifest(containers=[part("a", 60), part("b", 40)], initContainers=made)


def requested(first):
    return sizes.requested_by(objects(a_life(manifest_of(first)))[-1]["spec"]["template"]["spec"])
