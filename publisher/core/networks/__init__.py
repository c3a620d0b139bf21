# SPDX-License-Identifier: Apache-2.0
"""A command on a network over all of its clusters: leases, compared copies, writes in two phases. Pure."""
