# SPDX-License-Identifier: Apache-2.0
"""Where a pod's replicas run: node labels, taints, and how replicas keep apart. Named as in a PodSpec.

Which labels there are says each provider's profile; here is only how they are written.
"""
