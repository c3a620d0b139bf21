# SPDX-License-Identifier: Apache-2.0
"""What a publisher is told while the version before finishes its requests."""

import pytest

from trustedpods.protocol.messages.base import Progress
from trustedpods.provider.core.metering import DRAIN_LIMIT_S
from trustedpods.provider.pods.progress import ProgressFeeds


@pytest.mark.parametrize(
    ("version", "grace_s", "text"),
    [
        (3, 5, f"version 3 finishes its requests, for {DRAIN_LIMIT_S} s at most"),
        (1, 120, "version 1 finishes its requests, for 120 s at most"),
        (2, None, f"version 2 finishes its requests, for {DRAIN_LIMIT_S} s at most"),
        (0, 5, f"what ran before finishes its requests, for {DRAIN_LIMIT_S} s at most"),
    ],
)
async def test_it_is_said_which_version_finishes_and_for_how_long(version, grace_s, text):
    feeds = ProgressFeeds()
    with feeds.listen(7) as feed:
        feeds.finishing(7, version, grace_s)
        told = await anext(feed)
    assert isinstance(told, Progress)
    assert (told.step, told.text) == ("drain", text)
