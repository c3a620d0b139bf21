#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that are missing, and nothing else: no recommendations, nothing is
# removed, no service is started now or at the next boot. Does nothing when all is there.
set -eu
python=${PYTHON:-python3}
policy=/usr/sbin/policy-rc.d

# package:what it is needed for, a command or a file; another provider of it will do as well
wanted="
containerd:containerd containerd:ctr runc:runc containernetworking-plugins:/usr/lib/cni/ptp
haproxy:haproxy docker-registry:docker-registry skopeo:skopeo mmdebstrap:mmdebstrap
busybox-static:/bin/busybox iptables:iptables nftables:nft iproute2:ip conntrack:conntrack procps:sysctl
tcpdump:tcpdump wrk:wrk nginx:nginx nghttp2-client:h2load gcc:gcc libc6-dev:/usr/include/stdlib.h
libseccomp-dev:/usr/include/seccomp.h
lintian:lintian apparmor:apparmor_parser systemd-container:systemd-nspawn
chromium:chromium prometheus:promtool libgmp-dev:/usr/include/gmp.h ca-certificates:/etc/ssl/certs/ca-certificates.crt
"

has() {
    case $1 in
        /usr/include/gmp.h) [ -e "$1" ] || [ -e "/usr/include/$(uname -m)-linux-gnu/gmp.h" ] ;;
        /*) [ -e "$1" ] ;;
        *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ] ;;
    esac
}

headers='import os, sysconfig; assert os.path.exists(sysconfig.get_path("include") + "/Python.h")'
missing=
for entry in $wanted; do
    has "${entry#*:}" || missing="$missing ${entry%%:*}"
done
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
"$python" -c "$headers" 2>/dev/null || missing="$missing python3-dev"
missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
[ -n "${missing% }" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "missing, by their names in Debian: $missing" >&2
    echo "This system has no apt-get: install them in its own way and run it again." >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "missing: $missing" >&2
    echo "As root: apt-get install --no-install-recommends $missing" >&2
    exit 1
fi

# Debian asks this file before it starts a service; 101 means no.
if [ -e "$policy" ]; then
    kept=$(mktemp)
    cp -p "$policy" "$kept"
    trap 'cp -p "$kept" "$policy"; rm -f "$kept"' EXIT
else
    trap 'rm -f "$policy"' EXIT
fi
printf '#!/bin/sh\nexit 101\n' > "$policy"
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive
install_missing() {
    # shellcheck disable=SC2086  # a list of words
    apt-get install --yes --no-install-recommends --no-remove -o DPkg::Lock::Timeout=300 $missing < /dev/null
}
echo "installing $missing"
mkdir -p build
log=build/packages.log
if ! install_missing > "$log" 2>&1; then
    echo "  the package lists may be old: apt-get update"
    apt-get update -o DPkg::Lock::Timeout=300 >> "$log" 2>&1 || true
    install_missing >> "$log" 2>&1 || { tail -n 20 "$log" >&2; exit 1; }
fi
if command -v systemctl >/dev/null; then
    for service in haproxy docker-registry containerd prometheus nginx apparmor; do
        case " $missing" in
            *" $service "*) systemctl disable --quiet "$service" >> "$log" 2>&1 || true ;;
        esac
    done
fi
