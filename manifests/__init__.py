# SPDX-License-Identifier: Apache-2.0
"""What a pod may ask for: the model, the parsing of hostile files, its limits and JSON schema.

This room never touches Kubernetes (that translation is the provider's), a chain or a network;
`parse` reads only the manifest and the files that it names.
"""
