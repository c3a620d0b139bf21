# SPDX-License-Identifier: Apache-2.0
"""A link says only what can be."""

import pytest
from pydantic import ValidationError

from tests.protocol.networks.owners.documents import export
from tests.protocol.networks.team import ALICE, BOB
from tests.protocol.networks.test_content import STATE
from trustedpods.protocol.codec import encode
from trustedpods.protocol.networks.content import NetworkContent, read_content
from trustedpods.protocol.networks.owners.links import OwnerLink


def link(**fields: object) -> OwnerLink:
    usual = {"alias": "acme", "owner": ALICE.card.member, "ours": BOB.card.member, "state": "imported"}
    return OwnerLink.model_validate(usual | {"export": encode(export())} | fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"alias": "ac-me"},
        {"alias": "Acme"},
        {"state": "joined"},
        {"state": "invited", "invitation": bytes(31)},
        {"export": b""},
        {"ours": ALICE.card.member},
    ],
    ids=["dash", "upper case", "no invitation", "half an invitation", "no nodes", "oneself"],
)
def test_a_link_holds_together(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        link(**fields)


def test_a_state_keeps_links_in_order_one_for_each_owner() -> None:
    kept = STATE.model_copy(update={"links": [link()]})
    assert read_content(encode(kept)).content == kept
    for wrong in ([link(alias="bolt"), link()], [link(), link(alias="bolt")]):
        with pytest.raises(ValidationError, match=r"in order|one owner"):
            NetworkContent(**{**dict(STATE), "links": wrong})
