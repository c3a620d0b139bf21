# SPDX-License-Identifier: Apache-2.0
"""The way in to pods: HAProxy on the hot path, the activator for pods that sleep.

`pools`, `slots` and `exposure` are pure; `haproxy` is the only door to HAProxy, `activator` a
process of its own, `readiness` asks whether a pod is ready, and `facade` is what the daemon holds.
See docs/facade.md.
"""
