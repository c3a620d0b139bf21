# SPDX-License-Identifier: Apache-2.0
"""Every bound on what a peer may send or ask, each with its reason."""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

SMTP_PORTS = (25, 465, 587)
"""TCP ports of mail, between servers and from its senders: closed to pods unless the operator opens them, and
to nodes of networks always: one tenant who sends unasked mail gets the provider's addresses listed."""

MAX_MESSAGE = 4 * MIB
"""One framed message: a bundle with 1 MiB of secrets fits three times over."""

MAX_MANIFEST_JSON = 256 * KIB
"""A pod's manifest in a bundle, with every default written out."""

MAX_EVIDENCE = 64 * KIB
"""Reports are 1,184 bytes, quotes under 8 KiB; the rest is certificates and collateral."""

MAX_CERTIFICATES = 8
"""A chain has three; the spare ones are revocation lists."""

MAX_PROFILE = 32 * KIB
"""A provider's profile is a page of text."""

MAX_VOLUMES = 32
"""Volumes of one pod, of all kinds."""

MAX_IMAGES = 16
"""Containers and init containers of one pod."""

MAX_BLOBS = 512
"""Blobs of one bundle: an image may have 127 layers, most have under 20."""

MAX_BLOB_SIZE = 16 * GIB
"""One image layer."""

MAX_LAYERS = 127
"""Layers of one image: what overlay file systems, and so Docker, can stack."""

MAX_UNPACKED = 64 * GIB
"""What one layer, and one pod's images together, may take on a node; a provider's own bound is lower."""

MAX_CLAIMS = 640
"""Volumes of one pod with those of each replica: 32 of 20."""

BLOB_CHUNK = 1 * MIB
"""Plaintext bytes in a sealed chunk: the unit of resuming, small beside any link's second."""

REQUEST_LIFETIME_S = 300
"""How long a signed request may be replayed against nobody: long enough for bad clocks."""

CLOCK_SKEW_S = 60
"""How far ahead a request's expiry may lie beyond its lifetime."""

MAX_CALLED_NODES = 64
"""Nodes of its network that one node calls: each is a Service in its namespace, and a page of a manifest."""

MAX_SECRET = 1 * MIB
"""Kubernetes refuses larger Secrets."""

MAX_SEED = 1 * MIB
"""All files of all seeds together: a volume's first files reach its node as a Secret, and with as many bytes
of secrets a bundle still fits into one message."""

MAX_SEED_FILES = 512
"""Files of all seeds together: each is a line of the replica's template."""

MAX_SEEDS = 128
"""Seeds of a pod: six volumes, each with one for every replica."""

MAX_ORDINAL = 255
"""The number of a replica; a workload has fewer of them."""

MAX_LOG_REPLY = 1 * MIB
"""One sealed reply with log lines."""

MAX_SINCE_S = 10 * 366 * 24 * 3600
"""How far back lines of a log may be asked for: ten years, which no log reaches."""

MAX_LEAVES = 4096
"""Usage leaves in one reply: a claim a day for eleven years."""

MAX_REPLICAS = 20
"""Of one pod: what is listed by replica stays short."""
