# SPDX-License-Identifier: Apache-2.0
"""The way in to pods: HAProxy on the hot path, the activator for pods that sleep.

`config` and `slots` are pure; `runtime` is the only door to HAProxy, `activator` a process of
its own, `wake` the words between it and the daemon, `probe` asks whether a pod is ready, and
`facade` is what the daemon's app holds. See docs/facade.md.
"""
