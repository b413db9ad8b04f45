# SPDX-License-Identifier: LGPL-2.1-or-later
"""OpenVINO's speed on graphs of random weights, asked for over standard input.

  openvino_side.py prepare FOLDER            the tower's graph as tower.xml, and quantised by nncf as tower-int8.xml
  openvino_side.py tower KIND THREADS FOLDER     f32, bf16, int8 or int8+bf16; each line: one picture of 512 x 512
  openvino_side.py linears KIND THREADS          f32, bf16, int8 or int4; each line: N rows

The tower is SigLIP-B/16 with 1,024 patches and SmolVLM's projector, as `tern bench --shape siglip-b-512` has it. The linears
are LFM2-1.2B's matrices, in that order and without what stands between them; int8 and int4 are weights (one scale a row; a
scale for 64) with dynamic quantisation of the rows. f32 and bf16 are made with a quarter of the layers, and their time counts
four times. Answers are milliseconds. Runs in the virtual environment that run.py makes (openvino, nncf, numpy).
"""
import pathlib
import sys
import time

import numpy
import openvino
import openvino.opset13 as op

rng = numpy.random.default_rng(1)
shared = []     # what constants point to


def constant(*shape):
    return op.constant((rng.standard_normal(shape, numpy.float32) / numpy.sqrt(shape[-1])).astype(numpy.float32))


# ---- The tower -------------------------------------------------------------------------------------------------------

SIDE, PATCH, WIDTH, HEADS, LAYERS, FFN, FACTOR, PROJECTED = 512, 16, 768, 12, 12, 3072, 4, 960


def ints(*values):
    return op.constant(numpy.array(values, numpy.int64))


def linear(x, n_out, n_in):
    return op.add(op.matmul(x, constant(n_out, n_in), False, True), op.constant(numpy.zeros(n_out, numpy.float32)))


def norm(x):
    x = op.mvn(x, ints(-1), True, 1e-6, "inside_sqrt")
    return op.add(op.multiply(x, op.constant(numpy.ones(WIDTH, numpy.float32))),
                  op.constant(numpy.zeros(WIDTH, numpy.float32)))


def attend(x, n):
    def heads(y):
        return op.transpose(op.reshape(y, ints(1, n, HEADS, WIDTH // HEADS), False), ints(0, 2, 1, 3))
    q, k, v = (heads(linear(x, WIDTH, WIDTH)) for _ in range(3))
    y = op.transpose(op.scaled_dot_product_attention(q, k, v), ints(0, 2, 1, 3))
    return linear(op.reshape(y, ints(1, n, WIDTH), False), WIDTH, WIDTH)


def shuffle(x, side):
    """FACTOR x FACTOR patches beside each other become one token."""
    f = FACTOR
    x = op.reshape(x, ints(1, side // f, f, side // f, f, WIDTH), False)
    x = op.transpose(x, ints(0, 1, 3, 2, 4, 5))
    return op.reshape(x, ints(1, (side // f) ** 2, f * f * WIDTH), False)


def tower():
    side = SIDE // PATCH
    n = side * side
    pixels = op.parameter([1, 3, SIDE, SIDE], numpy.float32)
    weights = constant(WIDTH, 3 * PATCH * PATCH)
    x = op.convolution(pixels, op.reshape(weights, ints(WIDTH, 3, PATCH, PATCH), False), [PATCH] * 2, [0, 0], [0, 0], [1, 1])
    x = op.transpose(op.reshape(x, ints(1, WIDTH, n), False), ints(0, 2, 1))
    x = op.add(x, constant(1, n, WIDTH))
    for _ in range(LAYERS):
        x = op.add(x, attend(norm(x), n))
        x = op.add(x, linear(op.gelu(linear(norm(x), FFN, WIDTH), "tanh"), WIDTH, FFN))
    x = op.matmul(shuffle(norm(x), side), constant(PROJECTED, FACTOR * FACTOR * WIDTH), False, True)
    return openvino.Model([x], [pixels], "tower")


def prepare(folder):
    import nncf
    folder = pathlib.Path(folder)
    model = tower()
    openvino.save_model(model, folder / "tower.xml", compress_to_fp16=False)
    data = nncf.Dataset([rng.standard_normal((1, 3, SIDE, SIDE), numpy.float32) for _ in range(4)])
    quantised = nncf.quantize(model, data, subset_size=4, model_type=nncf.ModelType.TRANSFORMER)
    openvino.save_model(quantised, folder / "tower-int8.xml", compress_to_fp16=False)


# ---- Linears ---------------------------------------------------------------------------------------------------------

MODEL, INNER, KEYS, VOCABULARY, ATTENTION, BLOCKS = 2048, 8192, 512, 65536, 0x5524, 16


def int8_weights(n_out, n_in):
    w = op.constant(rng.integers(-127, 128, (n_out, n_in), numpy.int8))
    scale = op.constant(numpy.full((n_out, 1), 1 / (73 * numpy.sqrt(n_in)), numpy.float16))
    return op.convert(op.multiply(op.convert(w, numpy.float16), scale), numpy.float32)


def int4_weights(n_out, n_in, group=64):
    packed = rng.integers(0, 256, n_out * n_in // 2, numpy.uint8)
    shared.append(packed)
    w = op.constant(openvino.Tensor(packed, openvino.Shape([n_out, n_in // group, group]), openvino.Type.i4))
    scale = op.constant(numpy.full((n_out, n_in // group, 1), 1 / (4.6 * numpy.sqrt(n_in)), numpy.float16))
    w = op.multiply(op.convert(w, numpy.float16), scale)
    return op.convert(op.reshape(w, ints(n_out, n_in), False), numpy.float32)


def linears(kind, blocks):
    make = {"int8": int8_weights, "int4": int4_weights}.get(kind, constant)

    def product(x, n_out, n_in):
        return op.matmul(x, make(n_out, n_in), False, True)
    rows = op.parameter([-1, MODEL], numpy.float32)
    x = rows
    for i in range(blocks):
        if ATTENTION >> i & 1:
            q, k, v = product(x, MODEL, MODEL), product(x, KEYS, MODEL), product(x, KEYS, MODEL)
            x = product(op.add(q, op.concat([k, v] * 2, 1)), MODEL, MODEL)
        else:
            a, b, c = op.split(product(x, 3 * MODEL, MODEL), op.constant(1), 3).outputs()
            x = product(op.add(op.add(a, b), c), MODEL, MODEL)
        x = product(op.add(product(x, INNER, MODEL), product(x, INNER, MODEL)), MODEL, INNER)
    last = op.gather(x, ints(-1), op.constant(0))
    return openvino.Model([product(last, VOCABULARY, MODEL)], [rows], "linears")


# ---- Runs ------------------------------------------------------------------------------------------------------------

def compile_model(model, kind, threads):
    precision = "bf16" if "bf16" in kind else "f32"
    return openvino.Core().compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": int(threads), "PERFORMANCE_HINT": "LATENCY",
                                                        "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision})


def answer(request, shape, factor):
    x = rng.standard_normal(shape, numpy.float32)
    start = time.perf_counter()
    request.infer([x])
    print(f"{1000 * factor * (time.perf_counter() - start):.3f}", flush=True)


def main(what, *rest):
    if what == "prepare":
        prepare(*rest)
    elif what == "version":
        print(openvino.__version__.split("-")[0])
    elif what == "tower":
        kind, threads, folder = rest
        file = "tower-int8.xml" if "int8" in kind else "tower.xml"
        request = compile_model(str(pathlib.Path(folder) / file), kind, threads).create_infer_request()
        for _ in sys.stdin:
            answer(request, (1, 3, SIDE, SIDE), 1)
    elif what == "linears":
        kind, threads = rest
        part = 1 if kind.startswith("int") else 4
        request = compile_model(linears(kind, BLOCKS // part), kind, threads).create_infer_request()
        for line in sys.stdin:
            answer(request, (int(line), MODEL), part)


main(*sys.argv[1:])
