# SPDX-License-Identifier: Apache-2.0
"""Where in the cluster a pod may run, and what of the cluster is offered at all. Pure.

What the profile says is for clients; here a provider decides on its nodes as they are.
"""
