# SPDX-License-Identifier: Apache-2.0
"""`deploy`: who takes the pod, what was sent, and a pod that serves."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trustedpods.protocol.ids import Address, ChannelId
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.results.confirmed import ConfirmedPod
from trustedpods.publisher.results.money import DepositOutcome
from trustedpods.publisher.results.providers import ProviderId, VerifiedMachine
from trustedpods.publisher.results.validated import UpdateWay

if TYPE_CHECKING:
    from trustedpods.publisher.core.cost import Cost


@dataclass(frozen=True, slots=True)
class ChosenProvider:
    """Who takes the pod, what its machine proved, the pod's channel there, and what the pod costs."""

    provider: ProviderId
    machine: VerifiedMachine
    channel: ChannelId
    cost: "Cost"


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
class AfterUpdate:
    """What is known of the pod after its update failed.

    `stands`: a version of it is in place, None where that is not known. `changed`: it is another version
    than before the update. `text` says it to a person.
    """

    text: str
    stands: bool | None
    version: int | None = None
    phase: str | None = None
    changed: bool | None = None


@dataclass(frozen=True, slots=True)
class DeployResult:
    """A pod that serves. `update` is None where it was no update."""

    pod: str
    publisher: Address
    token: Token
    chosen: ChosenProvider
    sent: SentImages
    confirmed: ConfirmedPod
    update: UpdateWay | None = None


@dataclass(slots=True)
class DeployProgress:
    """How far a deploy came; each field is None until it is known.

    `money` is only there after a failure with a provider that was chosen: where the deposit is. `serves`
    only after an update that failed, `update` only where it is one.
    """

    pod: str | None = None
    publisher: Address | None = None
    token: Token | None = None
    chosen: ChosenProvider | None = None
    sent: SentImages | None = None
    confirmed: ConfirmedPod | None = None
    money: DepositOutcome | None = None
    update: UpdateWay | None = None
    serves: AfterUpdate | None = None

    def result(self) -> DeployResult:
        """All of it, once the pod serves."""
        assert self.pod is not None
        assert self.publisher is not None
        assert self.token is not None
        assert self.chosen is not None
        assert self.sent is not None
        assert self.confirmed is not None
        return DeployResult(
            self.pod,
            self.publisher,
            self.token,
            self.chosen,
            self.sent,
            confirmed=self.confirmed,
            update=self.update,
        )
