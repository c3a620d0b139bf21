# SPDX-License-Identifier: Apache-2.0
"""Words of other formats: PodSpec, Container, Service, Deployment, Compose, Akash's SDL.

Each has one line in a table that says what to write instead, or for which values it asks for what is done
anyway and may stay. Nothing is ever ignored in silence, and nothing here changes what a pod is.
"""
