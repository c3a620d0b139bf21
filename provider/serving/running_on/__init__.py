# SPDX-License-Identifier: Apache-2.0
"""Pods whose bundles this daemon cannot open, because the one before it died: the facade leads to them still.

It takes what the books and the cluster say of them; it starts, ends and scales nothing.
"""
