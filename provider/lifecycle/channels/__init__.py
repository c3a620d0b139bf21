# SPDX-License-Identifier: Apache-2.0
"""The way of a pod's payment channel onto the chain, while its pod waits; never what becomes of it later."""
