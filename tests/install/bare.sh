#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# tests/install/bare.sh SUITE FOLDER [demo] [install] [check]: in a bare Debian of SUITE (bookworm, trixie) that debootstrap
# makes in FOLDER, this repository's HEAD is demonstrated (./demo), installed by the very lines of the README and used from
# there, and checked (./check); all three unless some are named. By hand, as root; a bare system costs 2 GB and some minutes.
set -u -o pipefail
if [ $# -lt 2 ] || [ "$(id -u)" -ne 0 ]; then
  sed -n '3,5s/^# //p' "$0" >&2
  exit 2
fi
suite=$1
root=$(mkdir -p "$2" && readlink -f "$2")
shift 2
steps=${*:-demo install check}
source=$(git -C "$(dirname "$(readlink -f "$0")")" rev-parse --show-toplevel) || exit 1
mirror=$(sed -n 's/^URIs: *//p; s/^deb \(http[^ ]*debian\) .*/\1/p' /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources \
  2>/dev/null | head -n 1)
if [ -z "$mirror" ]; then
  echo "$0: expected a Debian mirror in /etc/apt, found none" >&2
  exit 1
fi

bare() {
  chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    bash -c "$1"
}

if [ ! -d "$root/var/lib/dpkg" ]; then
  debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root.log" 2>&1 || {
    tail -n 5 "$root.log" >&2
    exit 1
  }
  cp /etc/resolv.conf "$root/etc/resolv.conf"
fi
for folder in proc dev; do
  mountpoint -q "$root/$folder" || mount --bind "/$folder" "$root/$folder" || exit 1
done
trap 'umount "$root/proc" "$root/dev"' EXIT
rm -rf "$root/root/tern" "$root/usr/local/lib/gstreamer-1.0" "$root"/usr/local/lib/libtern* "$root/usr/local/share/tern"
git clone -q "file://$source" "$root/root/tern" || exit 1

status=0
for step in $steps; do
  start=$SECONDS
  case $step in
    demo) bare 'cd /root/tern && ./demo' ;;
    check) bare 'cd /root/tern && ./check' ;;
    install)
      # The README's block with `ninja -C build install`, then what somebody does next, away from the sources.
      lines=$(awk '/^```/ { inside = !inside; if (!inside && found) { printf "%s", block; exit } block = ""; found = 0; next }
        inside { block = block $0 "\n"; if (/build install/) found = 1 }' "$root/root/tern/README.md")
      [ -n "$lines" ] || { echo "README.md has no lines that install" >&2; exit 1; }
      bare "set -e
        cd /root/tern; . tools/setup.sh; tern_install \$TERN_PACKAGES
        $lines
        mv /root/tern/build /root/tern/build-away; mkdir -p /root/elsewhere; cd /root/elsewhere
        cp /root/tern/tests/install/client.c .
        gcc client.c -o client \$(pkg-config --cflags --libs tern-1.0)
        ./client
        gst-inspect-1.0 terncaption | grep -E 'Filename|Origin|Package'
        tern caption --window 8 --frame-rate 1/2 /root/tern/pipelines/data/people.mp4 | wc -l
        mv /root/tern/build-away /root/tern/build" ;;
    *) echo "bare.sh: expected demo, install or check, found $step" >&2; exit 2 ;;
  esac
  rc=$?
  echo "$suite: $step: exit status $rc after $((SECONDS - start)) s"
  [ $rc -eq 0 ] || status=1
done
exit $status
