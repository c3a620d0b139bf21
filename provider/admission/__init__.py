# SPDX-License-Identifier: Apache-2.0
"""Who may deploy what, and whether it fits: rights, generations, capacity, slots, other tenants.

It refuses with the rule and the number, or makes a record; it starts nothing and touches no money.
"""
