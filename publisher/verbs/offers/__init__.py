# SPDX-License-Identifier: Apache-2.0
"""Verbs that ask providers what they would do with a pod, before anything is paid or kept.

They may need a key to know which pod is meant, and never to sign what costs.
"""
