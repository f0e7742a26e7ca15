#!/bin/sh
# Assembles the root file system of the image: one binary, the shared libraries that it names, the
# certificates of public authorities, and an account to run as. There is no shell in it and no package
# manager. The Dockerfile uses this, and the tests run what it makes, so both are the same.
# Usage: images/rootfs.sh BINARY DIR    (DIR must not exist; needs ldd and ca-certificates)
set -eu

[ $# = 2 ] || { echo "usage: $0 BINARY DIR" >&2; exit 2; }
binary=$1 root=$2
authorities=/etc/ssl/certs/ca-certificates.crt
[ -x "$binary" ] || { echo "$0: there is no program $binary: build it first" >&2; exit 1; }
[ ! -e "$root" ] || { echo "$0: $root is there already: remove it, or name another" >&2; exit 1; }
[ -r "$authorities" ] || { echo "$0: no $authorities: install ca-certificates" >&2; exit 1; }

umask 022
mkdir -p "$root/usr/local/bin" "$root/etc/ssl/certs" "$root/etc/holdline" "$root/home/nonroot"
install -m 755 "$binary" "$root/usr/local/bin/holdline"
install -m 644 "$authorities" "$root$authorities"

# Of a static binary ldd lists nothing. A library that is missing has no path: then it is named.
libraries=$(ldd "$binary" 2>/dev/null || true)
case $libraries in *"not found"*) echo "$0: $libraries" >&2; exit 1 ;; esac
for library in $(echo "$libraries" | grep -o '/[^ ]*' || true); do
    # To the name that the binary asks for, whatever links lead there.
    install -D -m 755 "$(readlink -f "$library")" "$root$library"
done

# Kubernetes writes hosts and resolv.conf itself; this says in which order they are asked.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
cat >"$root/etc/passwd" <<'EOF'
root:x:0:0:root:/:/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/nologin
EOF
cat >"$root/etc/group" <<'EOF'
root:x:0:
nonroot:x:65532:
EOF
