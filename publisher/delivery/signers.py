# SPDX-License-Identifier: Apache-2.0
"""Before anything is asked of a provider: whether a policy's signers have signed what is to be sent."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from trustedpods.publisher.images.oci import SourcedImage
from trustedpods.publisher.journal import Journal

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.policy.policy import Policy


async def check_signed(policy: "Policy", images: Sequence[SourcedImage], journal: Journal) -> None:
    """Refused (rule `image-signer`) unless each of the images is signed as *policy* demands."""
    if not policy.image_signers:
        return
    from trustedpods.publisher.images.signatures.demanded import check_signers  # noqa: PLC0415 - httpx: 60 ms, seldom needed

    with journal.step("signers"):
        lines = await trio.to_thread.run_sync(lambda: list(check_signers(images, policy.image_signers)))
    for line in lines:
        journal.event("signed", line)
