#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what the machine image, its kernel and firmware are built and tried with, where it is missing. Debian
# 12's, as root.
set -eu
missing=
for entry in mkfs.erofs:erofs-utils veritysetup:cryptsetup-bin qemu-system-x86_64:qemu-system-x86 gcc:gcc make:make \
    patch:patch xz:xz-utils bc:bc bison:bison flex:flex iasl:acpica-tools g++:g++ nasm:nasm; do
    command -v "${entry%%:*}" >/dev/null || [ -x "/usr/sbin/${entry%%:*}" ] || missing="$missing ${entry#*:}"
done
for entry in gelf.h:libelf-dev stdio.h:libc6-dev uuid/uuid.h:uuid-dev; do
    [ -e "/usr/include/${entry%%:*}" ] || missing="$missing ${entry#*:}"
done
[ -n "$missing" ] || exit 0
echo "installing$missing"
mkdir -p build
install_missing() {
    # shellcheck disable=SC2086  # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends --no-remove \
        -o DPkg::Lock::Timeout=300 $missing < /dev/null > build/guest-tools.log 2>&1
}
install_missing && exit 0
echo "  the package lists may be old: apt-get update"
apt-get update -o DPkg::Lock::Timeout=300 >> build/guest-tools.log 2>&1 || true
install_missing || { tail -n 20 build/guest-tools.log >&2; exit 1; }
