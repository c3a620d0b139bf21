# SPDX-License-Identifier: Apache-2.0
"""What a deploy over a pod that runs would change, before anything is sent or paid. Pure."""
