# SPDX-License-Identifier: Apache-2.0
"""Warnings to a publisher's own URL: what is worth one, when it is tried again, and how it is sent.

Nothing that comes back is read, and no address inside the provider's network is called.
"""
