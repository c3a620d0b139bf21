# SPDX-License-Identifier: Apache-2.0
"""The node's agent, where it leads the facade's ports to replicas."""
