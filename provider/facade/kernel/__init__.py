# SPDX-License-Identifier: Apache-2.0
"""Services of tcp whose connections the kernel carries past HAProxy: which, and why not the others."""
