# SPDX-License-Identifier: Apache-2.0
"""Connections that the node's kernel leads from the facade's ports to replicas, as values. Pure."""
