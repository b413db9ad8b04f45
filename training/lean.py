# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes into a captioner's file which tokens it is to say more often than it would: tern.token_bias.

    python training/lean.py --data ../shared/data --work DIR --models models [--lean .38 2 .25]

The self-critical stage leaves few words, which are said too often. What is added to a token's logit is SHARE times log (its share
of people's captions / its share of the captioner's), MOST at the most, and an end is less likely by e^LONGER (replay.leaning; Menon
et al. 2021, eq. 9). The program adds it to captions that are said token by token, and to nothing else (tern/tasks.h). DIR has the
views of `features`, of the tower in these files.
"""

import argparse
import os

import gguf
import numpy as np

import common

LEAN = (0.38, 2.0, 0.25)


def copy(path, bias):
    """The file again with that key; whatever else it has stays as it is."""
    import export

    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(path + ".part", reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in (export.BIAS, "general.architecture"):
            continue
        kind = field.types[0]
        writer.add_key_value(name, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    writer.add_key_value(export.BIAS, [float(x) for x in bias], gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.FLOAT32)
    for t in reader.tensors:
        writer.add_tensor(t.name, t.data, raw_shape=t.data.shape, raw_dtype=t.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(path + ".part", path)


def main():
    a = argparse.ArgumentParser(description="Make the captions of a finished captioner lean to people's words.")
    a.add_argument("--data", required=True)
    a.add_argument("--work", required=True)
    a.add_argument("--models", default="models")
    a.add_argument("--lean", type=float, nargs=3, metavar=("SHARE", "MOST", "LONGER"), default=LEAN)
    options = a.parse_args()
    common.settle()
    import evaluate
    import export
    import prompts
    import rows

    path = export.found_text(options.models)
    tokenizer, (_, model) = export.tokenizer_of(options.models), export.read(options.models)
    plan = rows.layout(tokenizer, prompts.INSTRUCTIONS[0], (49,))
    bias = evaluate.leaning(model, plan, tokenizer, options.data, options.work, options.lean).numpy()
    copy(path, bias)
    print(f"{path}: {np.count_nonzero(bias > 0)} of {len(bias)} tokens more likely, {np.count_nonzero(bias < 0)} less")


if __name__ == "__main__":
    main()
