# SPDX-License-Identifier: LGPL-2.1-or-later
"""llama.cpp's C functions, out of the library inside of the package xllamacpp: logits, which its server does not give.

The parameter structures differ from release to release. They are passed as blocks that are larger than any of them, of
which only leading fields are set that have stood for years: n_ctx, n_batch and n_ubatch.
"""
import ctypes
import pathlib

import numpy
import xllamacpp

VERSION = f"llama.cpp in xllamacpp {xllamacpp.__version__}"
LIBRARY = ctypes.CDLL(str(next(pathlib.Path(xllamacpp.__file__).parent.glob("xllamacpp*.so"))))
LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
silence = LOG(lambda level, text, data: None)


class ModelParams(ctypes.Structure):
    _fields_ = [("all", ctypes.c_uint8 * 1024)]


class ContextParams(ctypes.Structure):
    _fields_ = [("n_ctx", ctypes.c_uint32), ("n_batch", ctypes.c_uint32), ("n_ubatch", ctypes.c_uint32),
                ("rest", ctypes.c_uint8 * 1012)]


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p),
                ("pos", ctypes.POINTER(ctypes.c_int32)), ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
                ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))), ("logits", ctypes.POINTER(ctypes.c_int8))]


def function(name, result, *arguments):
    f = getattr(LIBRARY, name)
    f.restype, f.argtypes = result, arguments
    return f


pointer = ctypes.c_void_p
log_set = function("llama_log_set", None, LOG, pointer)
model_params = function("llama_model_default_params", ModelParams)
context_params = function("llama_context_default_params", ContextParams)
load = function("llama_model_load_from_file", pointer, ctypes.c_char_p, ModelParams)
init = function("llama_init_from_model", pointer, pointer, ContextParams)
get_vocab = function("llama_model_get_vocab", pointer, pointer)
vocab_size = function("llama_vocab_n_tokens", ctypes.c_int32, pointer)
add_bos = function("llama_vocab_get_add_bos", ctypes.c_bool, pointer)
bos = function("llama_vocab_bos", ctypes.c_int32, pointer)
tokenize = function("llama_tokenize", ctypes.c_int32, pointer, ctypes.c_char_p, ctypes.c_int32,
                    ctypes.POINTER(ctypes.c_int32), ctypes.c_int32, ctypes.c_bool, ctypes.c_bool)
memory = function("llama_get_memory", pointer, pointer)
memory_clear = function("llama_memory_clear", None, pointer, ctypes.c_bool)
batch_init = function("llama_batch_init", Batch, ctypes.c_int32, ctypes.c_int32, ctypes.c_int32)
decode = function("llama_decode", ctypes.c_int32, pointer, Batch)
get_logits = function("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), pointer, ctypes.c_int32)


class Model:
    def __init__(self, path, context=1024):
        log_set(silence, None)
        self.model = load(str(path).encode(), model_params())
        if not self.model:
            raise SystemExit(f"{path}: llama.cpp does not load it")
        params = context_params()
        params.n_ctx = params.n_batch = params.n_ubatch = context
        self.context = init(self.model, params)
        self.vocab = get_vocab(self.model)
        self.n_vocab = vocab_size(self.vocab)
        self.batch = batch_init(context, 0, 1)
        self.clear()

    def clear(self):
        memory_clear(memory(self.context), True)
        self.position = 0

    def tokenize(self, text, special):
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 8))()
        return ids[:tokenize(self.vocab, data, len(data), ids, len(ids), True, special)]

    def eval(self, ids, everywhere=False):
        """The logits after the last id, or after each of them."""
        self.batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            self.batch.token[i] = token
            self.batch.pos[i] = self.position + i
            self.batch.n_seq_id[i] = 1
            self.batch.seq_id[i][0] = 0
            self.batch.logits[i] = everywhere or i == len(ids) - 1
        if decode(self.context, self.batch):
            raise SystemExit("llama_decode failed")
        self.position += len(ids)
        wanted = range(len(ids)) if everywhere else [len(ids) - 1]
        rows = [numpy.ctypeslib.as_array(get_logits(self.context, i), (self.n_vocab,)).copy() for i in wanted]
        return rows if everywhere else rows[0]
