# SPDX-License-Identifier: Apache-2.0
"""Texts and numbers at which grammars of names, paths, networks, sizes and protocols part."""

EDGES = [
    "", " ", "a", "A", "-", "-a", "a-", ".", "..", "...", "a.b", "..a", "a..", "~", "a/b", "a:b", "a_b",
    "%", "*", "/", "//", "/a/", "/a/../b", "/./", "/a:b", "/" + "a" * 511, "/proc", "/dev/shm", "/etc/hosts",
    "a" * 63, "a" * 64, "a" * 253, "a" * 254, "0", "1", "-1", "007", "1e9", "1.5", "true", "null",
    "\xe9", "\uff21", "\n", "a\n", "\t", "\x00", "\x7f", "\u2028", "\ufeff", "\U0001f600", "$(A)", "$$",
    "localhost", "127.0.0.1", "kube-root-ca.crt", "pod", "deny", "default",
    "0.0.0.0/0", "0.0.0.0/00", "10.0.0.0/8", "10.0.0.1/8", "10.0.0.0/255.0.0.0", "010.0.0.0/8", "203.0.113.3",
    "203.0.113.0/24", "203.0.113.0/0.0.0.255", "203.0.113.128/25", "::/0", "::ffff:1.2.3.4/128",
    "a.example", "a.example.", "A.EXAMPLE", "xn--a.example", "x" * 64 + ".example", "-a.example",
    "1Gi", "0.5Mi", "16Ti", "1n", "5s", "TCP", "UDP", "SCTP", "http", "kubernetes.io/h2c", "http://a/",
]  # fmt: skip

NUMBERS = [-1, 0, 1, 80, 443, 65535, 65536, 2**31 - 1, 2**31, 2**63, 0.5]
