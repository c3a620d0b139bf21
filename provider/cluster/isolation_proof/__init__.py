# SPDX-License-Identifier: Apache-2.0
"""Two live pods that show whether a cluster's network keeps tenants apart, and the image they run.

It proves; what follows from the proof is decided in admission.
"""
