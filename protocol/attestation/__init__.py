# SPDX-License-Identifier: Apache-2.0
"""What a machine proves about itself before anything is sent to it."""
