# SPDX-License-Identifier: Apache-2.0
"""`render`: the Kubernetes objects that a pod becomes at a provider, made there by what makes them for real.

Only the provider knows its own networks, names and classes, and its object code is not the client's to carry.
The manifest goes sealed to its attested machine; no file and no image does, and nothing is kept there.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import trio

from trustedpods.contracts.eip712 import address_of
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.errors import NetworkFailure, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.messages.admission import RenderBody, Rendered
from trustedpods.protocol.messages.bundle import SeedFiles
from trustedpods.protocol.net import open_host
from trustedpods.protocol.sealing.requests import ChainContext, publisher_secret
from trustedpods.publisher.attestation.policies import policy_for, policy_name
from trustedpods.publisher.core.deploy import admit_body
from trustedpods.publisher.core.select import Choice, requirements_of, select
from trustedpods.publisher.delivery import report
from trustedpods.publisher.journal import Fact, Journal
from trustedpods.publisher.market.market import OpenMarket
from trustedpods.publisher.market.profiles import PROVE_WITHIN_S, check_offered
from trustedpods.publisher.market.session import Publisher, next_generation, open_session
from trustedpods.publisher.pod import Pod
from trustedpods.publisher.results.providers import ProviderId, RenderResult

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.policy.policy import Policy
    from trustedpods.protocol.net import Host


async def render(
    market: OpenMarket, pod: Pod, key: bytes | None, choice: Choice | None, journal: Journal
) -> RenderResult:
    """The objects of *pod* at the provider of *choice*, or at the cheapest that answers and can run it.

    With the *key* that will deploy it, names and addresses are those that the pod will have; without, a key
    is made up. Raises `Refused` (rule `no-provider`) where none can take the pod, else what the last said.
    """
    wanted = requirements_of(pod.manifest, pod.image_bytes, market.file.token, market.token, choice=choice)
    selection = select(wanted, await market.rows())
    if not selection.offers:
        raise report.nobody(selection, wanted.trust)
    spec = pod.manifest.spec
    policy = policy_for(market, spec.trust, policy_name(None, spec.policy))
    publisher = await trio.to_thread.run_sync(_publisher, market, key or secrets.token_bytes(32))
    async with open_host(None, []) as host:
        rows = [offer.row for offer in selection.offers]
        return await _first(host, publisher, rows, policy, pod, journal)


async def _first(
    host: "Host",
    publisher: Publisher,
    rows: Sequence[RegistryRow],
    policy: "Policy",
    pod: Pod,
    journal: Journal,
) -> RenderResult:
    """What the first provider says that can run the pod; of those before it is said why not."""
    for row in rows[:-1]:
        try:
            return await _ask(host, publisher, row, policy, pod)
        except TrustedPodsError as error:
            journal.show.warning(f"not {ProviderId.of(row).name}: {error}")
    return await _ask(host, publisher, rows[-1], policy, pod)


async def _ask(
    host: "Host", publisher: Publisher, row: RegistryRow, policy: "Policy", pod: Pod
) -> RenderResult:
    body = render_body(pod)
    try:
        with trio.fail_after(PROVE_WITHIN_S):
            async with open_session(host, publisher, row, policy) as session:
                check_offered(admit_body(pod.manifest, pod.image_bytes), session.profile.capabilities)
                answer = await session.ask("render", session.ref(pod.name), body, next_generation(), Rendered)
    except trio.TooSlowError:
        text = f"it does not answer within {PROVE_WITHIN_S:g} s"
        raise NetworkFailure(text, where=ProviderId.of(row).name, rule="timeout") from None
    return RenderResult(ProviderId.of(row), pod.name, _objects(answer.objects))


def render_body(pod: Pod) -> RenderBody:
    """The question: all of the pod but what is in its files and images."""
    seeds = [
        SeedFiles(volume=volume, ordinal=ordinal, files=dict.fromkeys(files, b""))
        for (volume, ordinal), files in pod.loaded.seeds.items()
    ]
    seeded = any(volume.seed for volume in pod.manifest.spec.volumes)
    return RenderBody(
        manifest=pod.manifest.model_dump_json(by_alias=True).encode(),
        images=pod.digests,
        users={name: image.config.user for name, image in pod.images.items()} if seeded else {},
        seeds=seeds,
        book=pod.book,
    )


def _objects(text: bytes) -> tuple[Mapping[str, Fact], ...]:
    """Objects out of a provider's hands: a list of maps, whatever is in them."""
    try:
        made = json.loads(text)
    except (ValueError, RecursionError):
        made = None
    if not isinstance(made, list) or not all(isinstance(one, dict) for one in made):
        raise RemoteProtocolError("the provider sent no list of objects")
    return tuple(made)


def _publisher(market: OpenMarket, secret: bytes) -> Publisher:
    context = ChainContext(chain_id=market.file.chain_id, payments=market.file.payments)
    return Publisher(address_of(secret), secret, publisher_secret(secret), context)
