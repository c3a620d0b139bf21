# SPDX-License-Identifier: Apache-2.0
"""JSON of what clusters keep of a network: leases, copies of its document, its team and its history.

A part of the rim: it asks nobody and decides nothing.
"""
