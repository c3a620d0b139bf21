# SPDX-License-Identifier: Apache-2.0
"""What a machine proves about itself before anything is sent to it.

Judges evidence, certificates and bound keys against pinned roots and an explicit policy; collects
nothing, connects to nothing, and knows the time only from its caller.
"""
