# SPDX-License-Identifier: Apache-2.0
"""The only door to Kubernetes and to the image registry beside it.

Pure: `objects` (a pod's life in, objects out), `views` (the API server's answers in, what the
daemon decides on out) and `rollout`. Doors: `client` and what it is split into (`workloads` knows
what runs replicas, `diagnosis` why a pod does not start), `image_registry` and `pod_counters`.
Errors of HTTP and of the API server become ours in `api.errors` and nowhere else. This room knows
no chain, no peer and no store.
"""
