# SPDX-License-Identifier: Apache-2.0
"""What starts Kubernetes and the daemon inside the measured image: one cluster that has the machine alone.

It uses the units of a localnet's cluster without their namespaces. It makes no market and holds no key of
an owner's.
"""
