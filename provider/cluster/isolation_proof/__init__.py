# SPDX-License-Identifier: Apache-2.0
"""Live pods that show whether a cluster keeps tenants apart and bounds what they write, and their image.

It proves; what follows from the proof is decided in admission.
"""
