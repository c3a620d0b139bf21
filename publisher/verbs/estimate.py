# SPDX-License-Identifier: Apache-2.0
"""`estimate`: what a pod would cost, by the registry's prices; needs no key and pays nobody.

Providers are dialled only where the pod needs what not all of them have.
"""

from typing import TYPE_CHECKING

from trustedpods.protocol.capability_gaps import asks_for_more
from trustedpods.publisher.attestation.policies import policy_for, policy_name
from trustedpods.publisher.core.cost import stored_hour, warm_hour
from trustedpods.publisher.core.deploy import admit_body
from trustedpods.publisher.core.money import Funding
from trustedpods.publisher.core.select import Choice, LeftOut, Offer, Selection, requirements_of, select
from trustedpods.publisher.delivery import report
from trustedpods.publisher.market.market import OpenMarket
from trustedpods.publisher.market.profiles import capabilities_of, why_not
from trustedpods.publisher.results.estimated import EstimatedNot, EstimatedOffer, EstimateResult
from trustedpods.publisher.results.providers import ProviderId

if TYPE_CHECKING:
    from trustedpods.publisher.pod import Pod


async def estimate(
    market: OpenMarket, pod: "Pod", choice: Choice | None = None, funding: Funding | None = None
) -> EstimateResult:
    """What `deploy` with the same *choice* and *funding* would choose from.

    Raises `Refused` (rule `no-provider`), with reasons, where no provider can take the pod.
    """
    rows = await market.rows()
    wanted = requirements_of(pod.manifest, pod.image_bytes, market.file.token, market.token, funding, choice)
    selection = await _that_can(market, pod, select(wanted, rows))
    if not selection.offers:
        raise report.nobody(selection, wanted.trust)

    warm_s = pod.manifest.spec.scale.warm_s

    def offered(offer: Offer) -> EstimatedOffer:
        deposit = offer.cost.deposit(wanted.funding, market.token)
        retained = stored_hour(pod.manifest.outliving_mib, offer.row.prices)
        warm = warm_hour(wanted.shape, offer.row.prices, offer.row.least) if warm_s else None
        return EstimatedOffer(ProviderId.of(offer.row), offer.row.trust, offer.cost, retained, deposit, warm)

    return EstimateResult(
        pod=pod.name,
        token=market.token,
        simulated=market.file.simulated_root is not None,
        image_bytes=pod.image_bytes,
        min_replicas=wanted.shape.min_replicas,
        max_replicas=wanted.shape.max_replicas,
        outliving_mib=pod.manifest.outliving_mib,
        offers=tuple(offered(offer) for offer in selection.offers),
        left_out=tuple(EstimatedNot(ProviderId.of(out.row), out.reason) for out in selection.left_out),
    )


async def _that_can(market: OpenMarket, pod: "Pod", selection: Selection) -> Selection:
    """The *selection* without those that lack what the pod needs, if it needs anything in particular."""
    ask, spec = admit_body(pod.manifest, pod.image_bytes), pod.manifest.spec
    if not selection.offers or not asks_for_more(ask):
        return selection
    policy = policy_for(market, spec.trust, policy_name(None, spec.policy))
    found = await capabilities_of([offer.row for offer in selection.offers], policy)
    reasons = [why_not(ask, one) for one in found]
    judged = list(zip(selection.offers, reasons, strict=True))
    return Selection(
        tuple(offer for offer, reason in judged if reason is None),
        (
            *(LeftOut(offer.row, reason) for offer, reason in judged if reason is not None),
            *selection.left_out,
        ),
    )
