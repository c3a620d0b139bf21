# SPDX-License-Identifier: Apache-2.0
"""Conversations with publishers: one stream each, from the first frame to the last.

`conversations` bounds them and opens requests; `replies` seals what is said; the verbs are in
`provision`, `blobs`, `rotate` and `verbs`. Nothing that arrives here is trusted, and nothing that
is asked is done by the stream itself: work belongs to the rooms below.
"""
