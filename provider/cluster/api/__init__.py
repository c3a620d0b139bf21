# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes API over HTTP: requests, watches, streams, credentials, and errors translated once.

It knows no pod of ours, only paths and objects.
"""
