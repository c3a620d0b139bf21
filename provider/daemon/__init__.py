# SPDX-License-Identifier: Apache-2.0
"""The process: opens every door, puts the parts together, runs them until a signal, leads alone.

Pods that ask for their own sleep are heard here (`own_sleep`).
No decision about a pod is taken here.
"""
