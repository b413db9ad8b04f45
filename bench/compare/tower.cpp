/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The speed of llama.cpp's vision tower, asked for over standard input as llamacpp.c is:
 *
 *   tower BACKEND.so MMPROJ.gguf THREADS SIDE on|off     (flash attention)
 *
 * each line encodes a picture of SIDE x SIDE and is answered with the milliseconds. Built by rivals.py with the release's
 * tools/mtmd/clip.cpp and the graphs that SigLIP and Qwen3.5's tower need. */
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "clip.h"
#include "clip-impl.h"
#include "ggml-backend.h"

int
main (int argc, char **argv)
{
  char line[64];

  ggml_log_set ([] (ggml_log_level level, const char *text, void *) {
    if (level == GGML_LOG_LEVEL_ERROR)
      fputs (text, stderr);
  }, nullptr);
  g_logger_state.log_callback = [] (ggml_log_level, const char *, void *) { };
  if (argc != 6 || !ggml_backend_load (argv[1]))
    return fputs ("usage: tower BACKEND.so MMPROJ.gguf THREADS SIDE on|off; or the backend does not load\n", stderr), 1;
  clip_context_params params {};
  params.flash_attn_type = strcmp (argv[5], "on") == 0 ? CLIP_FLASH_ATTN_TYPE_ENABLED : CLIP_FLASH_ATTN_TYPE_DISABLED;
  clip_ctx *clip = clip_init (argv[2], params).ctx_v;
  if (!clip)
    return fputs ("tower: the file does not load\n", stderr), 1;

  int side = atoi (argv[4]);
  clip_image_f32_batch batch;
  std::vector<float> pixels ((size_t) 3 * side * side), out;
  for (size_t i = 0; i < pixels.size (); i++)
    pixels[i] = (float) ((i * 2654435761u) >> 8 & 0xffff) / 0x8000 - 1;
  batch.entries.emplace_back ();
  batch.entries[0].set_size ({ side, side }, false, false);
  batch.entries[0].cpy_buf (pixels);
  while (fgets (line, sizeof line, stdin)) {
    clip_encode_params work;
    work.n_threads = atoi (argv[3]);
    work.imgs = &batch;
    work.out_embd = &out;
    auto start = std::chrono::steady_clock::now ();
    if (!clip_encode (clip, &work))
      return fputs ("tower: clip_encode() failed\n", stderr), 1;
    printf ("%.3f\n", std::chrono::duration<double, std::milli> (std::chrono::steady_clock::now () - start).count ());
    fflush (stdout);
  }
  return 0;
}
