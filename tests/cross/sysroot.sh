#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# tests/cross/sysroot.sh ARCH FOLDER [PACKAGE...]: what Tern is built and run with, of another Debian architecture (arm64,
# armhf, riscv64), unpacked in FOLDER. Nothing of this machine changes: the packages are neither installed nor configured,
# so that the system needs no second architecture and no root.
set -u -o pipefail
if [ $# -lt 2 ]; then
  sed -n '3,5s/^# //p' "$0" >&2
  exit 2
fi
arch=$1
root=$(mkdir -p "$2" && readlink -f "$2") || exit 1
shift 2
packages=${*:-libc6-dev libglib2.0-dev libjson-glib-dev liborc-0.4-dev
  libavformat-dev libavcodec-dev libavutil-dev libswscale-dev}
say() { printf 'sysroot: %s\n' "$*" >&2; }

# One line that says what is there; written when all of it is.
record="$arch: $(echo $packages)"
[ "$(cat "$root/unpacked" 2>/dev/null)" = "$record" ] && exit 0

mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[.*\] *\)\?\(http[^ ]*debian\/\?\) .*/\2/p' /etc/apt/sources.list \
  /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
# RISC-V is an architecture of Debian from 13 on.
[ "$arch" = riscv64 ] && [ "$suite" = bookworm ] && suite=trixie
if [ -z "$mirror" ] || [ -z "$suite" ] || ! command -v dpkg-deb >/dev/null; then
  say "expected a Debian with a mirror in /etc/apt, found none: $arch is left out"
  exit 1
fi

# An apt of its own: another architecture, another list of what is installed (nothing), the same keys and mirror.
apt=$root/apt
rm -rf "$apt"
mkdir -p "$apt"/{etc/apt.conf.d,etc/preferences.d,state/lists/partial,cache/archives/partial} || exit 1
: >"$apt/status"
printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$suite" >"$apt/etc/sources.list"
cat >"$apt/apt.conf" <<END
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::Etc::SourceList "$apt/etc/sources.list";
Dir::Etc::SourceParts "-";
Dir::Etc::PreferencesParts "$apt/etc/preferences.d";
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
END
log=$root/apt.log
export APT_CONFIG=$apt/apt.conf
# shellcheck disable=SC2086
if ! { apt-get update -q && apt-get install -q -y --download-only $packages; } >"$log" 2>&1; then
  tail -n 5 "$log" >&2
  say "could not fetch the packages of $arch (whole log: $log)"
  exit 1
fi
say "unpacking $(ls "$apt"/cache/archives/*.deb | wc -l) packages of $arch in $root"
# Since some packages have /lib and others /usr/lib, one must be the other before anything is unpacked.
mkdir -p "$root/usr/lib" "$root/usr/bin" "$root/usr/sbin"
for folder in lib bin sbin; do
  [ -e "$root/$folder" ] || ln -s "usr/$folder" "$root/$folder"
done
for package in "$apt"/cache/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" \
    | tar -x -C "$root" --keep-directory-symlink --exclude='./usr/share/doc*' --exclude='./usr/share/man*' --exclude='./usr/share/locale*' \
      --exclude='./usr/share/perl*' --exclude='./usr/lib/python3*' --exclude='./usr/share/icons*' || exit 1
done
# Links to absolute paths lead out of the folder.
find "$root/usr/lib" "$root/etc" -type l -lname '/*' 2>/dev/null | while read -r link; do
  ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" "$root$(readlink "$link")")" "$link"
done
# Alternatives are links that installation makes.
for library in blas/libblas.so.3 lapack/liblapack.so.3; do
  for file in "$root"/usr/lib/*/"$library"; do
    [ -e "$file" ] && ln -sf "$library" "$(dirname "$(dirname "$file")")/$(basename "$library")"
  done
done
rm -rf "$apt"
echo "$record" >"$root/unpacked"
