# SPDX-License-Identifier: Apache-2.0
"""Pure decisions of the client: which provider, how much money, what the bill must be."""
