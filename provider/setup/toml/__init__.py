# SPDX-License-Identifier: Apache-2.0
"""The text of `provider.toml`: every key that the settings' model has, each behind its comment. Pure."""
