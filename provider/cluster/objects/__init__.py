# SPDX-License-Identifier: Apache-2.0
"""Manifest in, Kubernetes objects out: every object that a pod becomes, with its names and sizes. Pure.

Nothing here asks or changes a cluster.
"""
