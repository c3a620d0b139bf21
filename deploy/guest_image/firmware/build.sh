#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build.sh SOURCES OUT.fd: the firmware that measures kernel, initrd and command line on SEV-SNP (AmdSevX64), from
# Debian's source package of edk2 with Debian's patches. Debian builds no such firmware itself. As root.
#
# SOURCES has edk2_*.orig.tar.xz and edk2_*.debian.tar.xz (sources.sh fetches them by hash). The build happens at
# one path whatever the folder (/mnt in a mount namespace of its own): paths of sources end up in the binaries.
# Needs gcc, g++, make, nasm, iasl, uuid-dev and python3; other versions of them make other bytes.
set -euo pipefail
if [ "${1:-}" != --inside ]; then
    work=$(mktemp -d "${TMPDIR:-/tmp}/edk2.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    sources=$(cd "$1" && pwd) out=$(realpath "$2")
    mkdir "$work/from"
    cp "$sources"/edk2_*.orig.tar.xz "$sources"/edk2_*.debian.tar.xz "$work/from/"
    # Nothing of the caller's environment but the path: edk2's tools read a dozen variables.
    unshare --mount env --ignore-environment PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/mnt LC_ALL=C TZ=UTC \
        bash -c 'mount --bind "$1" /mnt && umask 022 && bash "$2" --inside' _ "$work" "$(realpath "$0")" \
        > "$out.log" 2>&1 || { tail -n 20 "$out.log" >&2; exit 1; }
    cp "$work/edk2/Build/AmdSev/RELEASE_GCC/FV/OVMF.fd" "$out"
    sha256sum "$out"
    exit 0
fi

mkdir /mnt/edk2
cd /mnt/edk2
tar --strip-components=1 -xf /mnt/from/edk2_*.orig.tar.xz
tar -xf /mnt/from/edk2_*.debian.tar.xz
while read -r patch; do
    case $patch in '' | '#'*) continue ;; esac
    patch --quiet -p1 --binary < "debian/patches/$patch"
done < debian/patches/series
# With kernel hashes the grub that AmdSevX64 embeds is never reached: an empty file, and no hook that builds it.
: > OvmfPkg/AmdSev/Grub/grub.efi
sed -i '/^ *PREBUILD /d' OvmfPkg/AmdSev/AmdSevX64.dsc
export WORKSPACE=$PWD EDK_TOOLS_PATH=$PWD/BaseTools PYTHON_COMMAND=python3 SOURCE_DATE_EPOCH=1760000000 PYTHONHASHSEED=0
make -s -j1 -C BaseTools/Source/C
set --
set +eu
# shellcheck disable=SC1091
. ./edksetup.sh
set -eu
build -q -n 1 -a X64 -t GCC -b RELEASE -p OvmfPkg/AmdSev/AmdSevX64.dsc
