# SPDX-License-Identifier: Apache-2.0
"""Other nodes of a pod's network: the ways to them in its namespace, and their addresses in its files. Pure.

It never says which addresses may be opened: `provider/core/networks/book.py` does.
"""
