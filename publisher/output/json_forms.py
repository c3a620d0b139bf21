# SPDX-License-Identifier: Apache-2.0
"""Every form: their import is what makes `json_of` know each result."""

from trustedpods.publisher.output import (
    json_market,
    json_money,
    json_networks,
    json_pods,
    json_rounds,
    json_validated,
)
from trustedpods.publisher.output.json_of import json_of

__all__ = ["FORMS", "json_of"]

FORMS = (json_pods, json_money, json_market, json_networks, json_rounds, json_validated)
