# SPDX-License-Identifier: Apache-2.0
"""What is secret, and who said it: sealed bundles and replies, signed requests, encrypted blobs.

Everything here is pure. A module seals and opens bytes that it is given; it never reads a file,
a clock or a network, and it never keeps a key. Whatever a peer sealed or signed wrongly is a
`RemoteProtocolError`, with nothing said of why a decryption failed.
"""
