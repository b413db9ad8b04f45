/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a tower saves when patches that did not change keep their features, and what that does to its tokens: multiply-adds are
 * counted, and every picture is encoded whole as well.
 *
 *   reuse MMPROJ WIDTHxHEIGHT < FRAMES    FRAMES: RGB, 24 bits a pixel, as of `ffmpeg -i F -pix_fmt rgb24 -f rawvideo -`
 *
 * --drift D (.005; 2: on), --threshold T (4), --refresh N (16), --floats, --threads N, --masks FILE: a byte for each patch of each
 * frame, which says what changed. One line a frame, then one JSON object. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include "tern/error.h"
#include "vision/reuse.h"

static gdouble drift = .005, threshold = 4;
static gint refresh = 16, threads;
static gboolean floats;
static char *masks;

typedef struct {
  TernVision *vision;
  TernVisionState *state;
  TernReuse *reuse;
  FILE *masks;
  gsize n_tokens, dim;
  float *found, *expected;
  guint frames, changed;        /* not counting the first one, those that were computed in part */
  double sum, least, worst;     /* cosines: all frames' sum, least; of a token */
} Bench;

static void G_GNUC_NORETURN
fail (const char *text)
{
  g_printerr ("reuse: %s\n", text);
  exit (1);
}

static void
check (GError *error)
{
  if (error)
    fail (error->message);
}

static double
cosine (const float *a, const float *b, gsize n)
{
  double ab = 0, aa = 0, bb = 0;

  for (gsize i = 0; i < n; i++) {
    ab += (double) a[i] * b[i];
    aa += (double) a[i] * a[i];
    bb += (double) b[i] * b[i];
  }
  return ab / sqrt (aa * bb);
}

static void
encode (Bench *b, TernReuse *reuse, const TernImage *image, float *tokens)
{
  const TernVisionOptions options = { .scaling = TERN_SCALING_TRAINED };
  TernVisionStep step = TERN_VISION_MORE;
  GError *error = NULL;
  TernVisionPlan plan;

  tern_vision_plan_image (b->vision, image, &options, &plan, &error);
  check (error);
  tern_vision_begin_reusing (b->state, reuse, image, &options, &plan, tokens, &error);
  while (!error && step == TERN_VISION_MORE)
    step = tern_vision_step (b->state, NULL, &error);
  check (error);
  b->n_tokens = plan.n_tokens;
}

/* What of the picture changed, as FILE says. */
static void
take_mask (Bench *b)
{
  const TernVisionInfo *info = tern_vision_info (b->vision);
  guint side = (guint) lrint (sqrt ((double) b->n_tokens)) * info->factor;
  g_autofree guint8 *mask = g_malloc (side * side);

  if (!b->masks)
    return;
  if (fread (mask, 1, side * side, b->masks) != side * side)
    fail ("--masks: expected a byte for each patch of each frame after the first, found fewer");
  tern_reuse_set_changed (b->reuse, mask, side, side);
}

static void
run_frame (Bench *b, const TernImage *image)
{
  TernReuseCounts before, after;
  double all, worst = 1;

  tern_reuse_counts (b->reuse, &before);
  if (before.frames > 0)
    take_mask (b);
  encode (b, b->reuse, image, b->found);
  encode (b, NULL, image, b->expected);
  tern_reuse_counts (b->reuse, &after);
  all = cosine (b->found, b->expected, b->n_tokens * b->dim);
  for (gsize t = 0; t < b->n_tokens; t++)
    worst = MIN (worst, cosine (b->found + t * b->dim, b->expected + t * b->dim, b->dim));
  printf ("%u %s computed %u of %u, drift %.5f, cosine %.5f, worst token %.4f\n", b->frames,
      after.rested > before.rested ? "rests" : after.drifted > before.drifted ? "drifted"
      : after.refreshes > before.refreshes ? "whole" : "part", (guint) (after.computed - before.computed),
      (guint) (after.computed - before.computed + after.reused - before.reused), after.drift, all, worst);
  b->frames++;
  b->sum += all;
  b->least = MIN (b->least, all);
  b->worst = MIN (b->worst, worst);
}

static void
open_tower (Bench *b, const char *path)
{
  const TernReuseOptions options = { threshold, drift, (guint) refresh, FALSE };
  GError *error = NULL;
  TernGguf *file = tern_gguf_open (path, &error);
  TernPool *pool;
  guint most;

  check (error);
  b->vision = tern_vision_open (file, tern_kernels_default (NULL), &error);
  check (error);
  pool = tern_pool_new ((guint) threads, &error);
  check (error);
  most = tern_vision_info (b->vision)->max_tokens;
  b->dim = tern_vision_info (b->vision)->row_dim;
  b->state = tern_vision_state_new (b->vision, most, floats ? TERN_ACTIVATIONS_F32 : TERN_ACTIVATIONS_INT8, pool, &error);
  check (error);
  b->reuse = tern_reuse_new (b->vision, most, &options, &error);
  check (error);
  b->found = g_new (float, most * b->dim);
  b->expected = g_new (float, most * b->dim);
}

static void
report (const Bench *b)
{
  TernReuseCounts counts;

  tern_reuse_counts (b->reuse, &counts);
  printf ("{\"frames\": %u, \"whole\": %u, \"drifted\": %u, \"rested\": %u, \"computed\": %.4f, \"operations\": %.4f, "
      "\"times_fewer\": %.3f, \"cosine\": %.5f, \"least\": %.5f, \"worst_token\": %.4f}\n", b->frames, (guint) counts.refreshes,
      (guint) counts.drifted, (guint) counts.rested, (double) counts.computed / (double) (counts.computed + counts.reused),
      (double) counts.macs / (double) counts.whole, (double) counts.whole / (double) counts.macs, b->sum / b->frames, b->least,
      b->worst);
}

int
main (int argc, char **argv)
{
  const GOptionEntry entries[] = {
    { "drift", 0, 0, G_OPTION_ARG_DOUBLE, &drift, "Bound of drift", "D" },
    { "threshold", 0, 0, G_OPTION_ARG_DOUBLE, &threshold, "Levels", "T" },
    { "refresh", 0, 0, G_OPTION_ARG_INT, &refresh, "Frames", "N" },
    { "floats", 0, 0, G_OPTION_ARG_NONE, &floats, "On floats", NULL },
    { "threads", 0, 0, G_OPTION_ARG_INT, &threads, "Threads", "N" },
    { "masks", 0, 0, G_OPTION_ARG_FILENAME, &masks, "What changed", "FILE" },
    { NULL }
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("MMPROJ WIDTHxHEIGHT < FRAMES");
  Bench b = { .least = 1, .worst = 1 };
  g_autofree guint8 *pixels = NULL;
  GError *error = NULL;
  guint width, height;
  TernImage image;

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_parse (context, &argc, &argv, &error);
  check (error);
  if (argc != 3 || sscanf (argv[2], "%ux%u", &width, &height) != 2 || !width || !height || width > 8192 || height > 8192)
    fail ("expected MMPROJ and WIDTHxHEIGHT");
  open_tower (&b, argv[1]);
  if (masks && !(b.masks = fopen (masks, "rb")))
    fail ("--masks: cannot be read");
  pixels = g_malloc ((gsize) width * height * 3);
  image = (TernImage) { .format = TERN_IMAGE_RGB, .width = width, .height = height, .data = { pixels },
    .stride = { (gint) width * 3 } };
  while (fread (pixels, (gsize) width * height * 3, 1, stdin) == 1)
    run_frame (&b, &image);
  if (b.frames == 0)
    fail ("expected frames on standard input, found none");
  report (&b);
  return 0;
}
