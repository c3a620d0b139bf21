# SPDX-License-Identifier: Apache-2.0
"""What a cluster keeps of networks of pods: their documents, and the ways between nodes that it runs itself.

It never opens a document, and never decides who may call whom.
"""
