# SPDX-License-Identifier: Apache-2.0
"""What a guest is given beside its measured files: configuration disk, data disk, network card. Pure."""
