# SPDX-License-Identifier: Apache-2.0
"""Who may ask about networks at all, by what is in memory: before a question costs anything."""

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address
from trustedpods.protocol.sealing.subjects import NetworkRef
from trustedpods.provider.admission.arrivals import Allowance, Arrivals
from trustedpods.provider.admission.gate import Gate


class NetworkQuestions:
    """Refuses denied keys and floods. Who is a member says the document, later."""

    def __init__(self, gate: Gate, pace: Allowance) -> None:
        self._gate = gate
        self._arrivals = Arrivals(pace)

    def check(self, network: NetworkRef, signer: Address, address: str) -> None:
        """Refused for a key that is denied here, and (rule `rate`) where *address* asks too often."""
        self._gate.check_key(network.publisher)
        self._gate.check_key(signer)
        if not self._arrivals.take(address):
            raise Refused(
                "too many questions about networks from this address",
                rule="rate",
                hint="try again in a moment",
            )
