# SPDX-License-Identifier: Apache-2.0
"""Networks of pods: the words in which clusters and clients share a network's leases and document. Pure.

It never decides who may hold a lease or which write is taken: the daemon's core does.
"""
