# SPDX-License-Identifier: Apache-2.0
"""The only door to the node's agent, where it leads ports of the facade to replicas."""
