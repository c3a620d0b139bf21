# SPDX-License-Identifier: Apache-2.0
"""How the operator's key is changed for another one: which step is next, from what stands. Pure."""
