# SPDX-License-Identifier: Apache-2.0
"""Which of several daemons of one cluster acts: what a Lease shows becomes a decision. Pure.

No clock of another machine is believed: each daemon measures by its own how long nobody renewed.
"""
