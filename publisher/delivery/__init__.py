# SPDX-License-Identifier: Apache-2.0
"""Handing a pod to an attested provider: the sealed bundle, its blobs, and what is said of it.

Nothing leaves this machine before the provider's evidence was accepted.
"""
