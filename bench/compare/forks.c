/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The speed of llama.cpp's forks for ternary models, asked for over standard input as llamacpp.c does it for llama.cpp:
 *
 *   fork MODEL.gguf THREADS CONTEXT
 *
 *   prefill N     reads N tokens into an empty cache
 *   decode N D    reads N tokens one by one behind D others
 *
 * answers each line with its milliseconds. With IK defined, for ik_llama.cpp, whose weights are repacked at load (its -rtr);
 * `fork quantize IN.gguf OUT.gguf iq2_bn|iq1_bn` there writes its ternary types, the embedding as it was. Without, for the
 * llama.cpp inside of bitnet.cpp. */
#define PROGRAM "fork"
#define BATCH(ids, n, pos) llama_batch_get_one (ids, n, pos, 0)
#include "tokens.h"

#include <string.h>

#ifndef IK
#define llama_model_load_from_file llama_load_model_from_file
#define llama_init_from_model llama_new_context_with_model
#endif

static void
open_model (char **argv)
{
  struct llama_model_params mp = llama_model_default_params ();
  struct llama_context_params cp = llama_context_default_params ();
  struct llama_model *model;

#ifdef IK
  mp.repack_tensors = true;
  mp.flash_attn = true;
#endif
  cp.n_ctx = (uint32_t) atoi (argv[3]);
  cp.n_batch = cp.n_ubatch = 512;
  cp.n_threads = cp.n_threads_batch = (uint32_t) atoi (argv[2]);
  cp.flash_attn = true;
  if (!(model = llama_model_load_from_file (argv[1], mp)) || !(context = llama_init_from_model (model, cp)))
    fail ("the model does not load");
#ifndef IK
  struct ggml_threadpool_params tp = ggml_threadpool_params_default (atoi (argv[2]));   /* as its llama-bench has it */
  struct ggml_threadpool *pool = ggml_threadpool_new (&tp);

  llama_attach_threadpool (context, pool, pool);
#endif
}

#ifdef IK
static void
quantize (char **argv)
{
  llama_model_quantize_params params = llama_model_quantize_default_params ();

  params.ftype = strcmp (argv[4], "iq1_bn") ? LLAMA_FTYPE_MOSTLY_IQ2_BN : LLAMA_FTYPE_MOSTLY_IQ1_BN;
  params.token_embedding_type = params.output_tensor_type = GGML_TYPE_Q8_0;
  params.allow_requantize = true;
  if (llama_model_quantize (argv[2], argv[3], &params))
    fail ("llama_model_quantize() failed");
}
#endif

int
main (int argc, char **argv)
{
  char line[64];
  int n, depth;

  llama_log_set (quiet, NULL);
  llama_backend_init ();
#ifdef IK
  if (argc == 5 && !strcmp (argv[1], "quantize")) {
    quantize (argv);
    return 0;
  }
#endif
  if (argc != 4)
    fail ("usage: fork MODEL.gguf THREADS CONTEXT");
  open_model (argv);
  while (fgets (line, sizeof line, stdin)) {
    llama_kv_cache_clear (context);
    if (sscanf (line, "prefill %d", &n) == 1) {
      printf ("%.3f\n", read_tokens (n, 512, 0));
    } else if (sscanf (line, "decode %d %d", &n, &depth) == 2) {
      read_tokens (depth, 512, 0);
      printf ("%.3f\n", read_tokens (n, 1, depth));
    }
    fflush (stdout);
  }
  return 0;
}
