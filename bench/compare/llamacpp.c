/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* llama.cpp's speed, asked for over standard input, so that rounds can alternate with others':
 *
 *   llamacpp BACKEND.so MODEL.gguf THREADS CONTEXT on|off|auto   (flash attention)
 *
 *   prefill N     reads N tokens into an empty cache
 *   decode N D    reads N tokens one by one behind D others
 *
 * answers each line with its milliseconds. BACKEND: which of libggml-cpu-*.so computes; `score BACKEND.so` prints how well
 * llama.cpp thinks it suits this processor (0: it does not run). run.py builds it against a release's headers and libraries. */
#define PROGRAM "llamacpp"
#define BATCH(ids, n, pos) llama_batch_get_one (ids, n)         /* the context knows where they stand */
#include "tokens.h"

#include <dlfcn.h>
#include <string.h>

#include "ggml-backend.h"
#include "ggml-cpu.h"

static unsigned char *state;    /* of the cache with @state_depth tokens */
static size_t state_size;
static int state_depth;

/* Reads @depth tokens once, and keeps what that made of the cache for the next time. */
static void
go_to (int depth)
{
  llama_memory_clear (llama_get_memory (context), true);
  if (depth == 0)
    return;
  if (depth != state_depth) {
    read_tokens (depth, 512, 0);
    state_depth = depth;
    state_size = llama_state_seq_get_size (context, 0);
    state = realloc (state, state_size);
    if (!state || llama_state_seq_get_data (context, state, state_size, 0) == 0)
      fail ("llama_state_seq_get_data() failed");
  } else if (llama_state_seq_set_data (context, state, state_size, 0) == 0) {
    fail ("llama_state_seq_set_data() failed");
  }
}

static void
open_model (char **argv, void *backend)
{
  struct llama_model_params mp = llama_model_default_params ();
  struct llama_context_params cp = llama_context_default_params ();
  struct ggml_threadpool *(*pool_new) (struct ggml_threadpool_params *) = dlsym (backend, "ggml_threadpool_new");
  struct ggml_threadpool_params tp = { .n_threads = atoi (argv[3]), .poll = 50 };       /* as llama-bench has it */
  struct ggml_threadpool *pool = pool_new ? pool_new (&tp) : NULL;
  struct llama_model *model;

  cp.n_ctx = (uint32_t) atoi (argv[4]);
  cp.n_batch = cp.n_ubatch = 512;
  cp.n_threads = cp.n_threads_batch = tp.n_threads;
  cp.flash_attn_type = !strcmp (argv[5], "on") ? LLAMA_FLASH_ATTN_TYPE_ENABLED :
      !strcmp (argv[5], "off") ? LLAMA_FLASH_ATTN_TYPE_DISABLED : LLAMA_FLASH_ATTN_TYPE_AUTO;
  if (!(model = llama_model_load_from_file (argv[2], mp)) || !(context = llama_init_from_model (model, cp)))
    fail ("the model does not load");
  if (pool)
    llama_attach_threadpool (context, pool, pool);
}

int
main (int argc, char **argv)
{
  void *backend = argc > 2 ? dlopen (argv[argc == 3 ? 2 : 1], RTLD_NOW) : NULL;
  char line[64];
  int n, depth;

  llama_log_set (quiet, NULL);
  if (argc == 3 && !strcmp (argv[1], "score")) {
    int (*score) (void) = backend ? dlsym (backend, "ggml_backend_score") : NULL;

    printf ("%d\n", score ? score () : 0);
    return 0;
  }
  if (argc != 6 || !ggml_backend_load (argv[1]))
    fail ("usage: llamacpp BACKEND.so MODEL.gguf THREADS CONTEXT on|off|auto; or the backend does not load");
  llama_backend_init ();
  open_model (argv, backend);
  while (fgets (line, sizeof line, stdin)) {
    if (sscanf (line, "prefill %d", &n) == 1) {
      go_to (0);
      printf ("%.3f\n", read_tokens (n, 512, 0));
    } else if (sscanf (line, "decode %d %d", &n, &depth) == 2) {
      go_to (depth);
      printf ("%.3f\n", read_tokens (n, 1, depth));
    }
    fflush (stdout);
  }
  return 0;
}
