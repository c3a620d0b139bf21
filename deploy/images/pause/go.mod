// SPDX-License-Identifier: Apache-2.0

module trustedpods.dev/pause

go 1.26
