# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes unpack-data.h: random blocks of each type and what the package gguf (0.19) makes of them.

usage: unpack_data.py > unpack-data.h
"""
import gguf
import numpy as np

TYPES = "Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 IQ4_NL Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_XS".split()
SCALES = {"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "Q4_1": (0, 2), "Q5_1": (0, 2)}


def lines(values):
    text = ""
    for v in values:
        if len(text) + len(v) > 116:
            yield text.rstrip()
            text = ""
        text += v + ", "
    yield text.rstrip()


def main():
    random = np.random.default_rng(7)
    print("/* SPDX-License-Identifier: LGPL-2.1-or-later */\n/* Made by unpack_data.py with the package gguf 0.19. */")
    rows = []
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        values, size = gguf.GGML_QUANT_SIZES[kind]
        count = 64 // values or 1
        block = random.integers(0, 256, (count, size), dtype=np.uint8)
        for at in SCALES.get(name, (0,)):
            block[:, at:at + 2] = random.uniform(-2, 2, (count, 1)).astype(np.float16).view(np.uint8)
        floats = gguf.quants.dequantize(block, kind).astype(np.float32).reshape(-1)
        print(f"\nstatic const guint8 {name.lower()}_bytes[] = {{")
        print("\n".join("  " + line for line in lines(str(b) for b in block.reshape(-1))))
        print(f"}};\nstatic const float {name.lower()}_floats[] = {{")
        print("\n".join("  " + line for line in lines(f"{v:.9g}{'' if '.' in f'{v:.9g}' or 'e' in f'{v:.9g}' else '.0'}f"
                                                      for v in floats)))
        print("};")
        rows.append(f"  {{ \"{name}\", {name.lower()}_bytes, {name.lower()}_floats, {floats.size} }},")
    print("\nstatic const struct {\n  const char *name;\n  const guint8 *bytes;\n  const float *floats;\n  guint n;\n}"
          " unpack_data[TERN_N_BLOCKS] = {")
    print("\n".join(rows) + "\n};")


main()
