# SPDX-License-Identifier: Apache-2.0
"""What travels between publisher and provider inside the sealed parts, field by field, with bounds.

A conversation is one stream. Its first frame is an `AttestRequest` (`evidence.py`) or a
`SignedRequest` (`envelopes.py`); the provider answers with frames of `Attested`, or of `SealedReply`.
Inside the sealed parts are the *bodies* kept here, one module for each subject: what a verb asks,
and what it is answered. Each name is imported from the module that defines it.
"""
