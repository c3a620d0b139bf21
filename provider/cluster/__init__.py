# SPDX-License-Identifier: Apache-2.0
"""The only door to Kubernetes and to the image registry beside it.

Pure: `objects` (a pod's life in, objects out), `views` (the API server's answers in, what the
daemon decides on out) and `reasons` (why a pod does not start, in Kubernetes' own words). Doors:
`client` and what it is split into, and `image_registry`. Errors of HTTP and of the API server
become ours in `api.errors` and nowhere else. This room knows no chain, no peer and no store.
"""
