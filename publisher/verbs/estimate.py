# SPDX-License-Identifier: Apache-2.0
"""`estimate`: what a pod would cost, from the registry alone; needs no key, dials and pays nobody."""

from trustedpods.publisher.core.money import Funding
from trustedpods.publisher.core.select import Choice, Offer, requirements_of, select
from trustedpods.publisher.delivery import report
from trustedpods.publisher.market.market import OpenMarket
from trustedpods.publisher.pod import Pod
from trustedpods.publisher.results.estimated import EstimatedNot, EstimatedOffer, EstimateResult
from trustedpods.publisher.results.providers import ProviderId


async def estimate(
    market: OpenMarket, pod: Pod, choice: Choice | None = None, funding: Funding | None = None
) -> EstimateResult:
    """What `deploy` with the same *choice* and *funding* would choose from.

    Raises `Refused` (rule `no-provider`), with reasons, where no provider comes into question.
    """
    rows = await market.rows()
    wanted = requirements_of(pod.manifest, pod.image_bytes, market.file.token, market.token, funding, choice)
    selection = select(wanted, rows)
    if not selection.offers:
        raise report.nobody(selection, wanted.trust)

    def offered(offer: Offer) -> EstimatedOffer:
        deposit = offer.cost.deposit(wanted.funding, market.token)
        return EstimatedOffer(ProviderId.of(offer.row), offer.row.trust, offer.cost, deposit)

    return EstimateResult(
        pod=pod.name,
        token=market.token,
        simulated=market.file.simulated_root is not None,
        image_bytes=pod.image_bytes,
        min_replicas=wanted.shape.min_replicas,
        max_replicas=wanted.shape.max_replicas,
        offers=tuple(offered(offer) for offer in selection.offers),
        left_out=tuple(EstimatedNot(ProviderId.of(out.row), out.reason) for out in selection.left_out),
    )
