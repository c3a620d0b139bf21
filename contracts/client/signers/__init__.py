# SPDX-License-Identifier: Apache-2.0
"""Who signs transactions: a key in this process, or a program beside it that drives a device."""
