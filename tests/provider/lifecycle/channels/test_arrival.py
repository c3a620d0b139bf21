# SPDX-License-Identifier: Apache-2.0
"""While a channel is waited for, its pod's images come into the registry: small ones, at nobody's cost."""

import pytest
import trio

from tests.fakes.provider.caller import Caller, in_phase, until
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.bundle import BlobRef, Bundle, ImageRef, LayerRef
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.lifecycle.images import MAX_EARLY, MAX_EARLY_UNPACKED, comes_early
from trustedpods.provider.pods.bundles import OpenBundle


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def deploying(caller, ended):
    """A deploy whose payment is somebody else's; *ended* takes its refusal."""
    try:
        await caller.provision(pay=False)
    except Refused as error:
        ended.append(error)


async def test_images_are_there_before_the_channel_is(world, virtual_time):
    async with world.run() as (parts, address), trio.open_nursery() as nursery:
        caller = Caller(world, address)
        nursery.start_soon(deploying, caller, [])
        await until(lambda: world.registry.manifests)
        assert in_phase(parts, caller, Phase.WAITING_CHANNEL)
        assert not world.cluster.lives
        await caller.pay()
        await until(lambda: in_phase(parts, caller, Phase.SERVING))


async def test_an_image_that_is_not_what_was_told_waits_for_the_channel_to_be_refused(world, virtual_time):
    async with world.run() as (parts, address), trio.open_nursery() as nursery:
        caller, ended = Caller(world, address), []
        honest = caller.bundle()
        layers = [one.model_copy(update={"unpacked": one.unpacked + 1}) for one in honest.images[0].layers]
        image = honest.images[0].model_copy(update={"layers": layers})
        caller.bundle = lambda: honest.model_copy(update={"images": [image]})
        nursery.start_soon(deploying, caller, ended)
        await until(lambda: world.registry.blobs)
        await trio.sleep(5)
        assert in_phase(parts, caller, Phase.WAITING_CHANNEL)
        assert not world.registry.manifests
        await caller.pay()
        await until(lambda: ended)
        assert ended[0].rule == "image-size"


def opened(packed, unpacked):
    digest = "sha256:" + "0" * 64
    layer = BlobRef(blob_id=b"i" * 32, key=b"k" * 32, digest=digest, size=packed, media_type="layer")
    empty = layer.model_copy(update={"blob_id": b"e" * 32, "digest": "sha256:" + "1" * 64, "size": 0})
    image = ImageRef(name="web", blobs=[empty, layer], layers=[LayerRef(digest=digest, unpacked=unpacked)])
    made = Bundle(name="web", manifest=b"", images=[image], secrets=[], seeds=[], commanders=[b"\x02" * 20])
    return OpenBundle(made, None)


@pytest.mark.parametrize(
    ("packed", "unpacked", "early"),
    [
        (MAX_EARLY, MAX_EARLY_UNPACKED, True),
        (MAX_EARLY + 1, MAX_EARLY_UNPACKED, False),
        (1, MAX_EARLY_UNPACKED + 1, False),
    ],
)
def test_only_small_images_come_early(packed, unpacked, early):
    assert comes_early(opened(packed, unpacked)) is early
