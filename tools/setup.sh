# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by ./demo and ./check: what Tern is built and run with, installed when it is missing, and the build itself.
# Everything said here goes to stderr; stdout belongs to the captions and the test results.

TERN_PACKAGES="gcc libc6-dev meson ninja-build pkg-config python3
  libglib2.0-dev libjson-glib-dev liborc-0.4-dev liborc-0.4-dev-bin
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-libav
  libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libarchive-dev
  libsoup-3.0-dev glib-networking libsqlite3-dev libmosquitto-dev"
# The tests also run the README's pipelines (SRT, text overlay, Python), GNU parallel, compile the headers as C++, make a
# certificate, and bring a broker, a camera and a browser for tern watch.
TERN_TEST_PACKAGES="g++ gstreamer1.0-plugins-bad gstreamer1.0-x python3-gi python3-gst-1.0
  gir1.2-gst-plugins-base-1.0 parallel openssl mosquitto mosquitto-clients gir1.2-gst-rtsp-server-1.0
  chromium chromium-driver"

tern_say() {
  printf 'tern: %s\n' "$*" >&2
}

tern_missing() {
  # dpkg-query knows whether a package is there, not merely known, without asking the network.
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || printf '%s ' "$package"
  done
}

tern_install() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    tern_say "this is no Debian-like system: install these packages' equivalents yourself: $*"
    return 0
  fi
  missing=$(tern_missing "$@")
  [ -z "$missing" ] && return 0
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      tern_say "these packages are missing, and only root can install them: $missing"
      return 1
    fi
    as_root=sudo
  fi
  tern_say "installing: $missing"
  log=$(mktemp)
  # shellcheck disable=SC2086
  if ! { $as_root apt-get update -q &&
      $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } \
      >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    tern_say "could not install the packages above (whole log: $log)"
    return 1
  fi
  rm -f "$log"
}

# What a build folder was configured with: Meson keeps what it found, and what it did not find, until it looks again.
tern_packages_now() {
  command -v dpkg-query >/dev/null || return 0
  # shellcheck disable=SC2086
  dpkg-query -W -f='${Package} ${Version} ${db:Status-Status}\n' $TERN_PACKAGES $TERN_TEST_PACKAGES 2>/dev/null
}

# tern_configure FOLDER [meson options...]: once, and again when packages came, went or changed since. Meson's words go
# to the file $log.
tern_configure() {
  folder=$1
  shift
  record=$folder/configured-with
  packages=$(tern_packages_now)
  if [ ! -f "$folder/build.ninja" ]; then
    tern_say "configuring $folder"
    meson setup "$folder" "$@" >"$log" 2>&1 || return 1
  elif [ "$packages" != "$(cat "$record" 2>/dev/null)" ]; then
    tern_say "configuring $folder again: other packages are installed than the last time"
    { meson configure --clearcache "$folder" && meson setup --reconfigure "$folder"; } >"$log" 2>&1 || return 1
  else
    return 0
  fi
  printf '%s\n' "$packages" >"$record"
}

# tern_build FOLDER [meson options...]: configures when needed, then builds what changed.
tern_build() {
  folder=$1
  log=$(mktemp)
  if ! tern_configure "$@"; then
    cat "$log" >&2
    tern_say "meson could not configure $folder (see above)"
    return 1
  fi
  if ! ninja -C "$folder" -n 2>/dev/null | grep -q 'no work to do'; then
    tern_say "building (once, about two minutes)"
  fi
  if ! ninja -C "$folder" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    tern_say "the build failed (see above)"
    return 1
  fi
  rm -f "$log"
}
