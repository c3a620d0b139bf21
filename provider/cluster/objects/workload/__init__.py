# SPDX-License-Identifier: Apache-2.0
"""The workload of a pod and the template of its replicas, one module for each kind and part. Pure.

Nothing here asks or changes a cluster.
"""
