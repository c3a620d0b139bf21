# SPDX-License-Identifier: Apache-2.0
"""Pods that sleep warm: their replicas are kept frozen, let go in time, and billed as what they are.

When a pod sleeps, and how, `core.scaler` decides.
"""
