# SPDX-License-Identifier: Apache-2.0
"""What `-o json` prints, as types: one for each verb's answer, and the JSON schema that is made of them.

A form is a `TypedDict`: what `json.dumps` takes is the value itself, the type checker holds every field of
what `json_of` makes, and `schema` tells programs the same. Nothing here asks, decides or prints.
"""
