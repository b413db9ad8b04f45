/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Captions by llama.cpp's mtmd, one picture after the other:
 *
 *   photographs BACKEND.so MODEL.gguf MMPROJ.gguf THREADS PROMPT MAX_TOKENS IMAGE_TOKENS    (prompt: with <__media__> in it)
 *
 * each line of standard input is a picture's path and is answered with the milliseconds, a tab and the caption, greedy.
 * Built by rivals.py with the release's tools/mtmd. */
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "ggml-backend.h"
#include "llama.h"
#include "mtmd-helper.h"
#include "mtmd.h"

static int
fail (const char *what)
{
  fprintf (stderr, "photographs: %s\n", what);
  return 1;
}

static void
quiet (ggml_log_level level, const char *text, void *)
{
  if (level == GGML_LOG_LEVEL_ERROR)
    fputs (text, stderr);
}

/* What the model says after what it has read, at most @most tokens. */
static std::string
say (llama_context *context, llama_sampler *sampler, const llama_vocab *vocab, int most)
{
  std::string text;

  for (int i = 0; i < most; i++) {
    llama_token token = llama_sampler_sample (sampler, context, -1);
    char piece[256];

    if (llama_vocab_is_eog (vocab, token))
      break;
    int n = llama_token_to_piece (vocab, token, piece, sizeof piece, 0, false);
    text.append (piece, n > 0 ? n : 0);
    if (i + 1 < most && llama_decode (context, llama_batch_get_one (&token, 1)))
      break;
  }
  return text;
}

int
main (int argc, char **argv)
{
  char line[4096];

  llama_log_set (quiet, nullptr);
  mtmd_log_set (quiet, nullptr);
  mtmd_helper_log_set (quiet, nullptr);
  if (argc != 8 || !ggml_backend_load (argv[1]))
    return fail ("usage: BACKEND.so MODEL MMPROJ THREADS PROMPT MAX_TOKENS IMAGE_TOKENS; or the backend does not load");
  int threads = atoi (argv[4]), most = atoi (argv[6]);
  llama_context_params cp = llama_context_default_params ();
  cp.n_ctx = 1024;
  cp.n_batch = cp.n_ubatch = 512;
  cp.n_threads = cp.n_threads_batch = threads;
  llama_model *model = llama_model_load_from_file (argv[2], llama_model_default_params ());
  llama_context *context = model ? llama_init_from_model (model, cp) : nullptr;
  mtmd_context_params mp = mtmd_context_params_default ();
  mp.use_gpu = mp.print_timings = false;
  mp.n_threads = threads;
  mp.image_min_tokens = mp.image_max_tokens = atoi (argv[7]);
  mtmd_context *eyes = context ? mtmd_init_from_file (argv[3], model, mp) : nullptr;
  if (!eyes)
    return fail ("the files do not load");
  const llama_vocab *vocab = llama_model_get_vocab (model);
  llama_sampler *sampler = llama_sampler_init_greedy ();

  while (fgets (line, sizeof line, stdin)) {
    line[strcspn (line, "\n")] = 0;
    auto start = std::chrono::steady_clock::now ();
    mtmd_bitmap *picture = mtmd_helper_bitmap_init_from_file (eyes, line, false, mtmd_helper_init_opt_default ()).bitmap;
    mtmd_input_chunks *chunks = mtmd_input_chunks_init ();
    mtmd_input_text text = { argv[5], strlen (argv[5]), true, true };
    const mtmd_bitmap *pictures[] = { picture };
    llama_pos past = 0;

    llama_memory_clear (llama_get_memory (context), true);
    if (!picture || mtmd_tokenize (eyes, chunks, &text, pictures, 1)
        || mtmd_helper_eval_chunks (eyes, context, chunks, 0, 0, 512, true, &past))
      return fail (line);
    std::string said = say (context, sampler, vocab, most);
    mtmd_input_chunks_free (chunks);
    mtmd_bitmap_free (picture);
    printf ("%.3f\t%s\n", std::chrono::duration<double, std::milli> (std::chrono::steady_clock::now () - start).count (), said.c_str ());
    fflush (stdout);
  }
  return 0;
}
