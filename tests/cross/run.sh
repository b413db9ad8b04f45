#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# tests/cross/run.sh [--quick] ARCH [TEST...]: builds Tern for aarch64, armhf or riscv64 in build-ARCH and runs the kernel,
# unit and golden tests (or the named ones) under qemu-user: all of them at the best instruction set of that architecture,
# those of what is computed at every one. --quick, for ./check: the tests of kernels, products, attention and models, and of
# those a sample: each kernel at each level with one case of four, drawn at random, models at the best level alone and not
# cut in every way. Exit status 77 where a compiler or its libraries cannot be had.
# What the tests said stays in build-ARCH/meson-logs/LEVEL.junit.xml, of --quick in quick.junit.xml.
set -u -o pipefail
cd "$(dirname "$(readlink -f "$0")")/../.." || exit 1
. tools/setup.sh

quick=false
if [ "${1:-}" = --quick ]; then
  quick=true
  shift
fi
# All levels of an architecture; what qemu calls a processor that has them.
case ${1:-} in
  aarch64) debian=arm64 triplet=aarch64-linux-gnu levels="scalar neon dotprod i8mm" ;;
  armhf) debian=armhf triplet=arm-linux-gnueabihf levels=scalar ;;
  riscv64) debian=riscv64 triplet=riscv64-linux-gnu levels=scalar ;;
  *)
    sed -n '3,8s/^# //p' "$0" >&2
    exit 2
    ;;
esac
arch=$1
shift
build=build-$arch

if ! tern_install "gcc-$triplet" qemu-user || ! tests/cross/sysroot.sh $debian build-sysroots/$arch; then
  tern_say "$arch is not tested here: no compiler, no emulator or no libraries for it"
  exit 77
fi
mkdir -p "$build"
printf "[constants]\nsysroot = '%s'\n" "$(readlink -f build-sysroots/$arch)" >build-sysroots/$arch.ini
# Those of whole generations are not among them: minutes under qemu, and the arithmetic is that of the others.
computing="types linear linear-inputs attend kvcache vision moe action"
quick_tests="$computing golden-pass golden-families golden-lfm2-state golden-vision golden-action"
targets=
if $quick; then
  targets=tests/kernels/test-kernels
  for test in $quick_tests; do
    case $test in
      golden-*) targets="$targets tests/golden/test-${test#golden-}" ;;
      *) targets="$targets tests/unit/test-$test" ;;
    esac
  done
fi

log=$(mktemp)
tern_configure "$build" --cross-file build-sysroots/$arch.ini --cross-file tests/cross/$arch.ini || { cat "$log" >&2; exit 1; }
tern_say "building for $arch"
# shellcheck disable=SC2086
if ! ninja -C "$build" $targets >"$log" 2>&1; then
  tail -n 60 "$log" >&2
  tern_say "the build for $arch failed (see above)"
  exit 1
fi
rm -f "$log"

status=0
run() {
  level=$1
  shift
  tern_say "testing $arch, TERN_CPU=$level"
  TERN_CPU=$level TERN_TEST_PATIENCE=30 meson test -C "$build" --no-rebuild --print-errorlogs --timeout-multiplier 30 --logbase "$level" "$@" ||
    status=1
}
best=${levels##* }
if [ $# -gt 0 ]; then
  for level in $levels; do run "$level" "$@"; done
elif $quick; then
  tern_say "testing $arch: a sample"
  # shellcheck disable=SC2086
  TERN_TEST_SAMPLE=4 TERN_TEST_PATIENCE=30 meson test -C "$build" --no-rebuild --print-errorlogs --timeout-multiplier 5 --logbase quick \
    kernels $quick_tests || status=1
else
  run "$best" kernels
  run "$best" --suite unit --suite golden
  # Sessions, windows and files do not know which kernels they run on.
  for level in $levels; do
    [ "$level" = "$best" ] && continue
    run "$level" --suite golden
    # shellcheck disable=SC2086
    run "$level" $computing linear-beside vision-attention vision-steps
  done
fi
exit $status
