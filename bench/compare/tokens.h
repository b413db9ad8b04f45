/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the programs beside llama.cpp and its forks (llamacpp.c, forks.c) have in common: tokens that are read, and their time. The
 * including source has PROGRAM, its name, and BATCH (ids, n, pos), the batch of @n tokens from position @pos on. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "llama.h"

static struct llama_context *context;

static void
fail (const char *what)
{
  fprintf (stderr, PROGRAM ": %s\n", what);
  exit (1);
}

static void
quiet (enum ggml_log_level level, const char *text, void *data)
{
  if (level == GGML_LOG_LEVEL_ERROR)
    fputs (text, stderr);
}

/* Reads @n tokens behind @depth others; milliseconds. */
static double
read_tokens (int n, int at_once, int depth)
{
  struct timespec a, b;
  static llama_token ids[1 << 16];

  for (int i = 0; i < n; i++)
    ids[i] = (i * 7919 + 13) % 1000 + 100;
  clock_gettime (CLOCK_MONOTONIC, &a);
  for (int i = 0; i < n; i += at_once)
    if (llama_decode (context, BATCH (ids + i, at_once < n - i ? at_once : n - i, depth + i)))
      fail ("llama_decode() failed");
  llama_synchronize (context);
  clock_gettime (CLOCK_MONOTONIC, &b);
  return (double) (b.tv_sec - a.tv_sec) * 1e3 + (double) (b.tv_nsec - a.tv_nsec) / 1e6;
}
