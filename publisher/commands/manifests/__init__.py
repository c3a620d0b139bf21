# SPDX-License-Identifier: Apache-2.0
"""What a person types about manifests alone: to have one made, or to be told of a field.

These verbs need neither a market nor a key and talk to nobody; what they say is decided in the rooms below.
"""
