# SPDX-License-Identifier: Apache-2.0
"""Values that are made at random for a pod and kept: their forms, and pairs of keys. Pure."""
