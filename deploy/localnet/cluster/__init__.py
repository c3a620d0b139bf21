# SPDX-License-Identifier: Apache-2.0
"""One embedded Kubernetes cluster: its programs, certificates, files and first objects.

It lives in a network namespace of its own and touches nothing outside of it.
"""
