# SPDX-License-Identifier: Apache-2.0
"""Meeting a pod's provider again: it proves itself anew, is remembered, and is helped after a reboot.

A visit changes what is remembered of a pod, never the pod itself, but for the keys that it lost.
"""
