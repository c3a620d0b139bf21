# SPDX-License-Identifier: Apache-2.0
"""Volumes that a driver on the node mounts: which driver, from whose store, and what it is told.

Named as in a PodSpec's `csi`; the class that the secrets store's driver wants is written in its place.
"""
