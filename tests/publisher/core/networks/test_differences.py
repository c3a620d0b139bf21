# SPDX-License-Identifier: Apache-2.0
"""What another state would change is told by component, and bounded."""

from tests.fakes.network_states import state_of
from trustedpods.protocol.networks.content import Component, NetworkContent
from trustedpods.publisher.core.networks.differences import MAX_TOLD, differences

STATE = state_of()
(NODE0,) = STATE.components


def with_components(*components: Component) -> NetworkContent:
    return STATE.model_copy(update={"components": list(components)})


def test_each_kind_of_difference_is_one_line() -> None:
    other = NODE0.model_copy(update={"name": "node1", "phase": "requested"})
    stopped = NODE0.model_copy(update={"phase": "stopped"})
    changed = NODE0.model_copy(update={"manifest_digest": bytes(32)})
    assert differences(STATE, STATE) == ()
    assert differences(None, STATE) == ("node0 would be there, started in k1",)
    assert differences(STATE, with_components()) == ("node0 would be gone",)
    assert differences(STATE, with_components(stopped, other)) == (
        "node0: started -> stopped",
        "node1 would be there, requested in k1",
    )
    assert differences(STATE, with_components(changed)) == ("node0: its manifest",)


def test_many_are_counted() -> None:
    many = [NODE0.model_copy(update={"name": f"n{number:02}"}) for number in range(MAX_TOLD + 3)]
    told = differences(None, with_components(*many))
    assert len(told) == MAX_TOLD + 1
    assert told[-1] == "and 3 more"
