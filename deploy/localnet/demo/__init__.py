# SPDX-License-Identifier: Apache-2.0
"""`trustedpods-localnet demo`: the fifteen steps of a pod's life, on real parts, in one table.

It uses nothing but the three commands, an HTTP client, kubectl and the chain's own balances, as a
stranger would, and never takes a step's word for having happened. A step that did not happen ends
the demo with an error that names it.
"""

from trustedpods.localnet.demo.main import main

__all__ = ["main"]
