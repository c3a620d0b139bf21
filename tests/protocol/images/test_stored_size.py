# SPDX-License-Identifier: Apache-2.0
"""What images take: each blob once, each stack of layers once."""

from trustedpods.protocol.images.stored_size import SizedImage, stored_bytes, whole_mib

BASE, APP, OTHER = ("base", 1000), ("app", 200), ("other", 50)


def image(*layers, **blobs):
    return SizedImage({"manifest": 1} | blobs, layers)


def test_shared_from_the_lowest_layer_up():
    one, two = image(BASE, APP, base=9, app=8), image(BASE, OTHER, base=9, other=7)
    assert stored_bytes([one]) == 1 + 9 + 8 + 1200
    assert stored_bytes([one, one]) == stored_bytes([one])
    assert stored_bytes([one, two]) == 1 + 9 + 8 + 7 + 1000 + 200 + 50


def test_a_layer_above_others_is_there_once_more():
    assert stored_bytes([image(APP, BASE, base=9, app=8), image(BASE, base=9)]) == 1 + 9 + 8 + 2200
    assert stored_bytes([image(BASE, BASE, BASE, base=9)]) == 1 + 9 + 3000


def test_whole_mib():
    assert [whole_mib(size) for size in (0, 1, 1 << 20, (1 << 20) + 1)] == [0, 1, 1, 2]
