# SPDX-License-Identifier: Apache-2.0
"""`deploy`: who takes the pod, what was sent, and a pod that serves."""

from dataclasses import dataclass

from trustedpods.protocol.ids import Address, ChannelId
from trustedpods.publisher.core.cost import Cost
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.results.confirmed import ConfirmedPod
from trustedpods.publisher.results.money import DepositOutcome
from trustedpods.publisher.results.providers import ProviderId, VerifiedMachine


@dataclass(frozen=True, slots=True)
class ChosenProvider:
    """Who takes the pod, what its machine proved, the pod's channel there, and what the pod costs."""

    provider: ProviderId
    machine: VerifiedMachine
    channel: ChannelId
    cost: Cost


@dataclass(frozen=True, slots=True)
class SentBlob:
    """One blob of an image: its size in bytes, its chunks, and from which one on they were sent."""

    digest: str
    first_chunk: int
    chunks: int
    size: int


@dataclass(frozen=True, slots=True)
class SentImages:
    """What was sent: sealed bytes and chunks on the wire, and the blobs that are whole there now."""

    sealed_bytes: int
    chunks: int
    blobs: tuple[SentBlob, ...]


@dataclass(frozen=True, slots=True)
class DeployResult:
    """A pod that serves."""

    pod: str
    publisher: Address
    token: Token
    chosen: ChosenProvider
    sent: SentImages
    confirmed: ConfirmedPod


@dataclass(slots=True)
class DeployProgress:
    """How far a deploy came; each field is None until it is known.

    `money` is only there after a failure with a provider that was chosen: where the deposit is.
    """

    pod: str | None = None
    publisher: Address | None = None
    token: Token | None = None
    chosen: ChosenProvider | None = None
    sent: SentImages | None = None
    confirmed: ConfirmedPod | None = None
    money: DepositOutcome | None = None

    def result(self) -> DeployResult:
        """All of it, once the pod serves."""
        assert self.pod is not None
        assert self.publisher is not None
        assert self.token is not None
        assert self.chosen is not None
        assert self.sent is not None
        assert self.confirmed is not None
        return DeployResult(
            self.pod, self.publisher, self.token, self.chosen, self.sent, confirmed=self.confirmed
        )
