# SPDX-License-Identifier: Apache-2.0
"""What a pod's volumes may be, and become: their classes, and their growth. Pure.

What a cluster's classes can do comes in as facts; nothing here asks a cluster.
"""
