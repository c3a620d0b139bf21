# SPDX-License-Identifier: Apache-2.0
"""Verbs between owners of different networks: what is signed for another, and what of another's is taken.

A room never changes nodes: the next apply does, or `watch`.
"""
