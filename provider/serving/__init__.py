# SPDX-License-Identifier: Apache-2.0
"""Pods that answer requests: slots of the facade, replicas from zero and back, limits, certificates.

It never starts what admission has not let in, and never ends a pod for good.
"""
