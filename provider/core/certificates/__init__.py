# SPDX-License-Identifier: Apache-2.0
"""When the provider's certificate is ordered and renewed, and what follows from each answer. Pure.

It keeps within an authority's rate limits by itself and tells how long the certificate still lasts. It never
asks an authority, reads no clock, and knows no challenge.
"""
