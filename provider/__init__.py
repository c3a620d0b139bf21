# SPDX-License-Identifier: Apache-2.0
"""What runs beside a cluster and sells it: admits, provisions, scales, meters, claims.

`daemon` owns the nursery and puts the rooms together; each uses what stands below it, down to the
doors (`cluster` to Kubernetes, `facade` to HAProxy, `store` to SQLite) and to `core`, which only
decides. This room never imports the publisher's, holds no coin, and never takes what it could not
read for what is not there. See docs/architecture.md.
"""
