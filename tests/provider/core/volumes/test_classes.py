# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.fakes.provider.caller import volume_ask
from trustedpods.protocol.errors import Refused
from trustedpods.provider.core.volumes.classes import check_classes, check_default

OFFERED = {"fast": ("ReadWriteOnce",), "shared": ("ReadWriteOnce", "ReadWriteMany")}


def test_what_is_on_offer_passes():
    check_classes([], {})
    check_classes([volume_ask(None), volume_ask("fast"), volume_ask("shared", "ReadWriteMany")], OFFERED)


@pytest.mark.parametrize(
    ("ask", "offered", "rule", "words"),
    [
        (volume_ask("slow"), OFFERED, "storage-class", "slow is not offered here; there is fast, shared"),
        (volume_ask("fast"), {}, "storage-class", "there is none by name"),
        (volume_ask("fast", "ReadWriteMany"), OFFERED, "access-mode", "the storage class fast cannot"),
        (
            volume_ask("shared", "ReadWriteOncePod"),
            OFFERED,
            "access-mode",
            "it has ReadWriteOnce, ",
        ),
        (volume_ask(None, "ReadWriteMany"), OFFERED, "access-mode", "storage class .default. cannot"),
    ],
)
def test_a_class_or_mode_that_is_not_is_named(ask, offered, rule, words):
    with pytest.raises(Refused, match=words) as caught:
        check_classes([volume_ask(None), ask], offered)
    assert caught.value.rule == rule


def test_a_volume_without_a_class_needs_a_default():
    check_default([volume_ask("fast")], "")
    check_default([volume_ask(None)], "plain")
    with pytest.raises(Refused, match="names no storage class, and the cluster has no default") as caught:
        check_default([volume_ask("fast"), volume_ask(None)], "")
    assert caught.value.rule == "storage-class"
