# SPDX-License-Identifier: Apache-2.0
"""Names of the outside world for pods: a resolver that answers what is allowed, and opens what it answers.

It never answers before the network lets the pod through, and never opens what the provider keeps closed.
"""
