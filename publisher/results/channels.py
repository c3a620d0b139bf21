# SPDX-License-Identifier: Apache-2.0
"""A pod's payment channel, and the provider that it pays."""

from dataclasses import dataclass

from trustedpods.contracts.records import Channel
from trustedpods.protocol.ids import ChannelId
from trustedpods.publisher.results.providers import ProviderId


@dataclass(frozen=True, slots=True)
class PodChannel:
    """The channel that a pod has at a provider; `live` is its state on chain, None when it has ended."""

    provider: ProviderId
    id: ChannelId
    live: Channel | None
