# SPDX-License-Identifier: Apache-2.0
"""Certificates for the provider's own names from an authority that speaks ACME (RFC 8555).

The only door to ACME. When to order and when to give up is decided by `core.certificates`; which certificate
is shown is the business of `serving`. It never touches names or certificates of publishers.
"""
