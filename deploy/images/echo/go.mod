// SPDX-License-Identifier: Apache-2.0

module trustedpods.dev/echo

go 1.26
