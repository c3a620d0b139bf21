# SPDX-License-Identifier: Apache-2.0
"""Connections that the node's kernel leads from ports of the facade to replicas, as values. Pure."""
