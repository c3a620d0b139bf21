# SPDX-License-Identifier: Apache-2.0
"""A plan for a network's nodes: where each runs, what is done to it, which steps run side by side. Pure."""
