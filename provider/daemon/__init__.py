# SPDX-License-Identifier: Apache-2.0
"""The process: opens every door, puts the parts together, runs them until a signal, leads alone.

No decision about a pod is taken here.
"""
