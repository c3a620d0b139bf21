# SPDX-License-Identifier: Apache-2.0
"""From what ran to what is paid: the meter's ledger, signed claims, and their way to the chain.

It never decides how long a pod may run, and never claims what no ledger entry shows.
"""
