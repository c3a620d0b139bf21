# SPDX-License-Identifier: Apache-2.0
from pydantic import TypeAdapter

from trustedpods.provider.core.certificates.types import (
    HeldCertificate,
    OrderStage,
    PendingOrder,
    RenewalState,
)


def test_what_is_remembered_comes_back_as_it_was():
    state = RenewalState(
        HeldCertificate(("a.example", "*.a.example"), 1, 2, 3, 4),
        PendingOrder(("a.example",), 5, OrderStage.FINALIZING, "https://ca/order/1"),
        6,
        7,
        (8, 9),
        (10,),
        "no answer",
        "https://ca/dir",
    )
    kept = TypeAdapter(RenewalState)
    assert kept.validate_json(kept.dump_json(state)) == state
    assert kept.validate_json(b"{}") == RenewalState()
