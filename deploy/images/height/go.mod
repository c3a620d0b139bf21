// SPDX-License-Identifier: Apache-2.0

module trustedpods.dev/height

go 1.26
