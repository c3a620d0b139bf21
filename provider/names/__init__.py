# SPDX-License-Identifier: Apache-2.0
"""Names for pods, of the outside world and of their own kind: a resolver that answers what is allowed.

It never answers before the network lets the pod through, and never opens what the provider keeps closed.
"""
