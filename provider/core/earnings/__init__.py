# SPDX-License-Identifier: Apache-2.0
"""What a provider earned, from what the chain paid for its claims: whole numbers, put together. Pure."""
