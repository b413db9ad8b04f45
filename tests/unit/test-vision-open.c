/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes and limits of pictures; vision encoder files that must be refused. */
#include "tern/error.h"
#include "tests/unit/vision-file.h"

/* ---- Sizes ------------------------------------------------------------------------------------------------------- */

/* From the processor's rules, by other code than ours; columns 0: not tiled. */
static const struct {
  guint width, height, least, most;
  gboolean tile;
  guint to_width, to_height, columns, rows;
} sizes[] = {
  { 224, 224, 64, 256, TRUE, 256, 256, 0, 0 },
  { 224, 224, 49, 256, TRUE, 224, 224, 0, 0 },
  { 180, 330, 64, 256, TRUE, 192, 352, 0, 0 },
  { 640, 480, 64, 256, TRUE, 576, 416, 0, 0 },
  { 1200, 640, 64, 256, TRUE, 672, 352, 2, 1 },
  { 600, 1200, 64, 256, TRUE, 352, 704, 1, 2 },
  { 1280, 720, 64, 256, TRUE, 672, 384, 2, 1 },
  { 1280, 720, 64, 256, FALSE, 672, 384, 0, 0 },
  { 1920, 1080, 64, 256, TRUE, 672, 384, 4, 2 },
  { 1, 1, 64, 256, TRUE, 256, 256, 0, 0 },
  { 3, 2, 64, 256, TRUE, 320, 224, 0, 0 },
  { 33, 48, 64, 256, TRUE, 224, 320, 0, 0 },
  { 48, 80, 64, 256, TRUE, 224, 352, 0, 0 },
  { 720, 720, 64, 256, TRUE, 512, 512, 0, 0 },          /* 22.5 steps: to even */
  { 736, 720, 64, 256, TRUE, 512, 480, 0, 0 },
  { 4000, 3000, 64, 256, TRUE, 576, 416, 3, 2 },
  { 3000, 1000, 64, 256, TRUE, 864, 288, 3, 1 },
  { 900, 9000, 64, 256, TRUE, 160, 1600, 1, 10 },
  { 9000, 900, 64, 256, TRUE, 1600, 160, 10, 1 },
  { 2000, 2000, 64, 256, TRUE, 512, 512, 3, 3 },
  { 1024, 1024, 64, 256, TRUE, 512, 512, 2, 2 },
  { 800, 800, 4, 64, TRUE, 256, 256, 2, 2 },
  { 1024, 512, 64, 1024, TRUE, 1024, 512, 0, 0 },
  { 300, 200, 16, 20, TRUE, 160, 96, 3, 2 },
  { 5000, 100, 64, 256, TRUE, 3616, 64, 0, 0 },
  { 16384, 64, 64, 256, TRUE, 8192, 32, 10, 1 },
  { 65535, 65535, 64, 256, TRUE, 512, 512, 3, 3 },
  /* Where the processor passes its own limit and we do not. */
  { 16384, 1, 64, 256, TRUE, 8192, 32, 0, 0 },
  { 1, 16384, 64, 256, FALSE, 32, 8192, 0, 0 },
  { 10, 10000, 64, 256, TRUE, 32, 8192, 0, 0 },
  { 100, 90, 49, 49, TRUE, 224, 192, 0, 0 },
  { 45, 45, 2, 2, TRUE, 32, 32, 0, 0 },
};

static void
check_tiles (const TernVisionPlan *plan, guint columns, guint rows)
{
  g_assert_cmpuint (plan->n, ==, columns * rows + 1);
  for (guint i = 0; i + 1 < plan->n; i++) {
    g_assert_cmpuint (plan->sub[i].row, ==, 1 + i / columns);
    g_assert_cmpuint (plan->sub[i].column, ==, 1 + i % columns);
    g_assert_cmpuint (plan->sub[i].width, ==, 512);
    g_assert_cmpuint (plan->sub[i].height, ==, 512);
    g_assert_cmpuint (plan->sub[i].n_tokens, ==, 256);
    g_assert_false (plan->sub[i].thumbnail);
  }
  g_assert_true (plan->sub[plan->n - 1].thumbnail);
}

static void
test_sizes (void)
{
  g_autoptr (TernVision) vision = open_lfm2_vl (0, 0);

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    TernVisionOptions options = { .min_tokens = sizes[i].least, .max_tokens = sizes[i].most, .tile = sizes[i].tile };
    g_autoptr (GError) error = NULL;
    const TernSubImage *last;
    TernVisionPlan plan;
    guint tokens = 0, room;

    g_test_message ("%u x %u", sizes[i].width, sizes[i].height);
    tern_vision_plan (vision, sizes[i].width, sizes[i].height, &options, &plan, &error);
    g_assert_no_error (error);
    last = &plan.sub[plan.n - 1];
    if (sizes[i].columns)
      check_tiles (&plan, sizes[i].columns, sizes[i].rows);
    else
      g_assert_cmpuint (plan.n, ==, 1);
    g_assert_cmpuint (last->width, ==, sizes[i].to_width);
    g_assert_cmpuint (last->height, ==, sizes[i].to_height);
    g_assert_cmpuint (last->row, ==, 0);
    g_assert_cmpuint (last->n_tokens, ==, last->width / 32 * (last->height / 32));
    g_assert_cmpuint (last->n_tokens, <=, sizes[i].most);
    tern_vision_sub_tokens (vision, &options, &room, &error);
    g_assert_no_error (error);
    for (guint k = 0; k < plan.n; k++) {
      g_assert_cmpuint (plan.sub[k].n_tokens, <=, room);
      tokens += plan.sub[k].n_tokens;
    }
    g_assert_cmpuint (plan.n_tokens, ==, tokens);
  }
}

static void
test_limits (void)
{
  g_autoptr (TernVision) fixed = open_lfm2_vl (50176, 50176), range = open_lfm2_vl (50176, 100000);
  TernVisionOptions options = { .tile = TRUE };
  TernVisionPlan plan;
  guint room;

  g_assert_cmpuint (tern_vision_info (fixed)->min_tokens, ==, 49);
  g_assert_cmpuint (tern_vision_info (fixed)->max_tokens, ==, 49);
  g_assert_cmpuint (tern_vision_info (range)->max_tokens, ==, 97);

  /* One size, whatever comes. */
  g_assert_true (tern_vision_plan (fixed, 3000, 20, &options, &plan, NULL));
  g_assert_true (plan.fixed);
  g_assert_cmpuint (plan.n, ==, 1);
  g_assert_cmpuint (plan.sub[0].width, ==, 224);
  g_assert_cmpuint (plan.sub[0].height, ==, 224);
  g_assert_true (tern_vision_sub_tokens (fixed, &options, &room, NULL));
  g_assert_cmpuint (room, ==, 49);

  /* Limits that differ undo it; the same ones do not. */
  options.min_tokens = options.max_tokens = 49;
  g_assert_true (tern_vision_plan (fixed, 640, 480, &options, &plan, NULL));
  g_assert_true (plan.fixed);
  options.max_tokens = 256;
  g_assert_true (tern_vision_plan (fixed, 640, 480, &options, &plan, NULL));
  g_assert_false (plan.fixed);
  g_assert_cmpuint (plan.sub[0].width, ==, 576);

  /* One limit on the wrong side of the model's other one. */
  options = (TernVisionOptions) { .max_tokens = 16 };
  g_assert_true (tern_vision_plan (range, 640, 480, &options, &plan, NULL));
  g_assert_cmpuint (plan.n_tokens, <=, 16);
  options = (TernVisionOptions) { .min_tokens = 200 };
  g_assert_true (tern_vision_plan (range, 100, 100, &options, &plan, NULL));
  g_assert_cmpuint (plan.n_tokens, ==, 196);
}

static void
refuse_plan (TernVision *vision, guint width, guint height, guint least, guint most, const char *words)
{
  TernVisionOptions options = { .min_tokens = least, .max_tokens = most };
  g_autoptr (GError) error = NULL;
  TernVisionPlan plan;

  g_assert_false (tern_vision_plan (vision, width, height, &options, &plan, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_assert_nonnull (strstr (error->message, words));
}

static void
test_refused_sizes (void)
{
  g_autoptr (TernVision) vision = open_lfm2_vl (0, 0);

  refuse_plan (vision, 0, 5, 0, 0, "picture of 0 x 5");
  refuse_plan (vision, 5, 0, 0, 0, "picture of 5 x 0");
  refuse_plan (vision, 65536, 5, 0, 0, "65535");
  refuse_plan (vision, 5, 5, 50, 49, "50:49");
  refuse_plan (vision, 5, 5, 0, G_MAXUINT, "65536");
}

/* ---- Files that must be refused ---------------------------------------------------------------------------------- */

static const struct {
  const char *wrong;
  TernErrorCode code;
  const char *words;            /* in the message */
} refusals[] = {
  { "architecture", TERN_ERROR_UNSUPPORTED, "\"llama\"" },
  { "no encoder", TERN_ERROR_UNSUPPORTED, "clip.has_vision_encoder" },
  { "no projector", TERN_ERROR_FORMAT, "clip.projector_type" },
  { "projector", TERN_ERROR_UNSUPPORTED, "\"warp\", supported: \"lfm2\", \"idefics3\"" },
  { "gelu and silu", TERN_ERROR_FORMAT, "clip.use_silu" },
  { "0 patch_size", TERN_ERROR_FORMAT, "clip.vision.patch_size" },
  { "no patch_size", TERN_ERROR_FORMAT, "clip.vision.patch_size" },
  { "0 projector.scale_factor", TERN_ERROR_FORMAT, "clip.vision.projector.scale_factor" },
  { "no projector.scale_factor", TERN_ERROR_FORMAT, "clip.vision.projector.scale_factor" },
  { "0 attention.head_count", TERN_ERROR_FORMAT, "clip.vision.attention.head_count" },
  { "heads", TERN_ERROR_FORMAT, "divisor" },
  { "0 embedding_length", TERN_ERROR_FORMAT, "clip.vision.embedding_length" },
  { "0 feed_forward_length", TERN_ERROR_FORMAT, "clip.vision.feed_forward_length" },
  { "0 projection_dim", TERN_ERROR_FORMAT, "clip.vision.projection_dim" },
  { "no block_count", TERN_ERROR_FORMAT, "clip.vision.block_count" },
  { "eps", TERN_ERROR_FORMAT, "layer_norm_epsilon" },
  { "mean", TERN_ERROR_FORMAT, "clip.vision.image_mean[0]" },
  { "short mean", TERN_ERROR_FORMAT, "expected 3 numbers, found 1" },
  { "std", TERN_ERROR_FORMAT, "clip.vision.image_std[1]" },
  { "positions", TERN_ERROR_FORMAT, "square grid" },
  { "blocks", TERN_ERROR_FORMAT, "v.blk.2." },
  { "width", TERN_ERROR_FORMAT, "mm.2.weight" },
  { "no v.patch_embd.weight", TERN_ERROR_FORMAT, "v.patch_embd.weight" },
  { "no v.position_embd.weight", TERN_ERROR_FORMAT, "v.position_embd.weight" },
  { "no v.blk.1.ln2.bias", TERN_ERROR_FORMAT, "v.blk.1.ln2.bias" },
  { "no v.blk.0.attn_k.weight", TERN_ERROR_FORMAT, "v.blk.0.attn_k.weight" },
  { "no v.blk.0.attn_k.bias", TERN_ERROR_FORMAT, "v.blk.0.attn_k.bias" },
  { "no v.post_ln.bias", TERN_ERROR_FORMAT, "v.post_ln.bias" },
  { "no mm.input_norm.weight", TERN_ERROR_FORMAT, "mm.input_norm.weight" },
  { "no mm.1.bias", TERN_ERROR_FORMAT, "mm.1.bias" },
  { "no mm.2.weight", TERN_ERROR_FORMAT, "mm.2.weight" },
  { "with v.blk.1.ls1.weight", TERN_ERROR_UNSUPPORTED, "v.blk.1.ls1.weight: expected none of this name" },
  { "with v.pre_ln.weight", TERN_ERROR_UNSUPPORTED, "v.pre_ln.weight" },
  { "with v.patch_embd.weight.1", TERN_ERROR_UNSUPPORTED, "v.patch_embd.weight.1" },
  { "with mm.3.weight", TERN_ERROR_UNSUPPORTED, "projector lfm2" },
  { "zero v.blk.1.ln1.weight", TERN_ERROR_FORMAT, "v.blk.1.ln1.weight: expected weights, found zeros only" },
  { "zero v.post_ln.weight", TERN_ERROR_FORMAT, "v.post_ln.weight: expected weights, found zeros only" },
  { "zero mm.input_norm.weight", TERN_ERROR_FORMAT, "mm.input_norm.weight: expected weights, found zeros only" },
  { "zero mm.2.weight", TERN_ERROR_FORMAT, "mm.2.weight: expected weights, found zeros only" },
};

/* Biases may be 0, motion layers that have learnt nothing yet, and a matrix that others follow. */
static void
test_zeros (void)
{
  static const char *const names[] = { "zero v.blk.0.ln1.bias", "zero mm.2.bias", "zero mm.motion.1.weight",
    "zero mm.motion.2.weight", "zero v.blk.1.attn_out.weight" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    Config config = { "usual", USUAL, .motion = 5, .wrong = names[i] };
    g_autoptr (GHashTable) tensors = tensors_new ();
    g_autoptr (GError) error = NULL;
    TernVision *vision = open_config (&config, tensors, &error);

    g_assert_no_error (error);
    tern_vision_unref (vision);
  }
}

/* Tensors of blocks behind those that are run, and those of others, are nobody's business; a linear may have a scale. */
static void
test_other_tensors (void)
{
  static const char *const names[] = { "with v.blk.1.attn_out.scale", "with v.blk.2.ls1.weight", "with a.blk.0.ls1.weight",
      "with extra" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    Config config = { "usual", USUAL, .wrong = names[i] };
    g_autoptr (GHashTable) tensors = tensors_new ();
    g_autoptr (GError) error = NULL;
    TernVision *vision = open_config (&config, tensors, &error);

    g_assert_no_error (error);
    tern_vision_unref (vision);
  }
}

static void
test_refused_files (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++) {
    Config config = { "refused", USUAL, .wrong = refusals[i].wrong };
    g_autoptr (GHashTable) tensors = tensors_new ();
    g_autoptr (GError) error = NULL;
    TernVision *vision = open_config (&config, tensors, &error);

    g_test_message ("%s: %s", refusals[i].wrong, error ? error->message : "opened");
    g_assert_null (vision);
    g_assert_error (error, TERN_ERROR, (gint) refusals[i].code);
    g_assert_nonnull (strstr (error->message, refusals[i].words));
    g_assert_nonnull (strstr (error->message, "tern-vision-"));         /* the file */
  }
}

static const struct {
  guint patch;                  /* 0: the usual one */
  const char *wrong;
  TernErrorCode code;
  const char *words;            /* in the message */
  guint version;                /* 0: 1 */
} motion_refusals[] = {
  { 0, "motion", TERN_ERROR_UNSUPPORTED, "tern.vision.motion: expected 1 to 2, found 3" },
  { 0, "motion once", TERN_ERROR_FORMAT, "mm.motion.1.weight: expected shape 48 x 5, found 24 x 5", 2 },
  { 0, "motion width", TERN_ERROR_FORMAT, "mm.motion.1.weight", 2 },
  { 3, NULL, TERN_ERROR_UNSUPPORTED, "a multiple of 4 pixels a side, found 6" },
  { 0, "motion width", TERN_ERROR_FORMAT, "mm.motion.1.weight" },
  { 0, "no mm.motion.1.weight", TERN_ERROR_FORMAT, "mm.motion.1.weight" },
  { 0, "no mm.motion.1.bias", TERN_ERROR_FORMAT, "mm.motion.1.bias" },
  { 0, "no mm.motion.2.weight", TERN_ERROR_FORMAT, "mm.motion.2.weight" },
  { 0, "no mm.motion.2.bias", TERN_ERROR_FORMAT, "mm.motion.2.bias" },
};

static void
test_refused_motion (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (motion_refusals); i++) {
    Config config = { "refused", USUAL, .motion = 5, .wrong = motion_refusals[i].wrong };
    g_autoptr (GHashTable) tensors = tensors_new ();
    g_autoptr (GError) error = NULL;
    TernVision *vision;

    config.patch = motion_refusals[i].patch ? motion_refusals[i].patch : config.patch;
    config.version = motion_refusals[i].version;
    vision = open_config (&config, tensors, &error);
    g_test_message ("%u: %s", i, error ? error->message : "opened");
    g_assert_null (vision);
    g_assert_error (error, TERN_ERROR, (gint) motion_refusals[i].code);
    g_assert_nonnull (strstr (error->message, motion_refusals[i].words));
    g_assert_nonnull (strstr (error->message, "tern-vision-"));         /* the file */
  }
}

static const struct {
  guint patch, factor, image_size, preproc;     /* 0: the usual one */
  const char *wrong;
  const char *words;            /* in the message */
} smol_refusals[] = {
  { 0, 0, 0, 0, "no image_size", "clip.vision.image_size" },
  { 0, 0, 0, 0, "0 image_size", "clip.vision.image_size" },
  { 0, 0, 3, 0, NULL, "clip.vision.image_size: expected a multiple of 2 patches of 4 pixels" },
  { 0, 0, 20, 0, NULL, "found 20 pixels, 5 patches" },
  { 0, 0, 24, 0, NULL, "v.position_embd.weight: expected 6 x 6 positions" },
  { 0, 0, 4097, 0, NULL, "clip.vision.image_size" },
  { 1, 1, 4096, 0, NULL, "at most 65536 visual tokens" },
  { 0, 3, 0, 0, NULL, "clip.vision.image_size: expected a multiple of 3 patches" },
  { 0, 17, 0, 0, NULL, "clip.vision.projector.scale_factor" },
  { 0, 0, 0, 0, "0 projector.scale_factor", "clip.vision.projector.scale_factor" },
  { 0, 0, 0, 289, NULL, "clip.vision.preproc_image_size: expected at most 16 times clip.vision.image_size 18, found 289" },
  { 0, 0, 0, 65536, NULL, "found 65536" },
  { 0, 0, 0, 65537, NULL, "clip.vision.preproc_image_size" },
  { 0, 0, 0, 0, "no mm.model.fc.weight", "mm.model.fc.weight" },
  { 0, 0, 0, 0, "projector shape", "mm.model.fc.weight" },
  { 0, 0, 0, 0, "width", "mm.model.fc.weight" },
  { 0, 0, 0, 0, "nan std", "clip.vision.image_std[1]" },
  { 0, 0, 0, 0, "nan norm", "v.blk.0.ln2.weight: expected finite numbers, found nan at 1" },
  { 0, 0, 0, 0, "positions", "square grid" },
};

static void
test_refused_smol (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (smol_refusals); i++) {
    Config config = { "refused", SMOL, .wrong = smol_refusals[i].wrong };
    g_autoptr (GHashTable) tensors = tensors_new ();
    g_autoptr (GError) error = NULL;
    TernVision *vision;

    config.patch = smol_refusals[i].patch ? smol_refusals[i].patch : config.patch;
    config.factor = smol_refusals[i].factor ? smol_refusals[i].factor : config.factor;
    config.image_size = smol_refusals[i].image_size ? smol_refusals[i].image_size : config.image_size;
    config.preproc = smol_refusals[i].preproc ? smol_refusals[i].preproc : config.preproc;
    vision = open_config (&config, tensors, &error);
    g_test_message ("%u: %s", i, error ? error->message : "opened");
    g_assert_null (vision);
    g_assert_error (error, TERN_ERROR, TERN_ERROR_FORMAT);
    g_assert_nonnull (strstr (error->message, smol_refusals[i].words));
    g_assert_nonnull (strstr (error->message, "tern-vision-"));         /* the file */
  }
}

/* From SmolVLMImageProcessor's rules, by other code than ours. */
static const struct {
  guint preproc, width, height, columns, rows;
} smol_sizes[] = {
  { 40, 100, 100, 3, 3 }, { 40, 1, 1, 3, 3 }, { 40, 65535, 1, 3, 1 }, { 40, 1, 65535, 1, 3 }, { 40, 200, 100, 3, 2 },
  { 40, 30, 40, 3, 3 }, { 18, 300, 200, 0, 0 }, { 19, 300, 300, 2, 2 }, { 4, 300, 200, 0, 0 }, { 288, 50, 50, 16, 16 },
  { 288, 1000, 10, 16, 1 }, { 0, 640, 480, 4, 3 }, { 72, 960, 720, 4, 3 }, { 72, 4000, 3000, 4, 3 }, { 72, 720, 960, 3, 4 },
};

static void
test_smol_sizes (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (smol_sizes); i++) {
    Config config = { "smol", SMOL };
    g_autoptr (GHashTable) tensors = tensors_new ();
    g_autoptr (GError) error = NULL;
    g_autoptr (TernVision) vision = NULL;
    guint columns = smol_sizes[i].columns, n = columns * smol_sizes[i].rows + 1;
    TernVisionOptions options = { .tile = TRUE };
    TernVisionPlan plan;

    config.preproc = smol_sizes[i].preproc;
    vision = open_config (&config, tensors, &error);
    g_assert_no_error (error);
    g_assert_true (tern_vision_plan (vision, smol_sizes[i].width, smol_sizes[i].height, &options, &plan, &error));
    g_assert_cmpuint (plan.n, ==, n);
    g_assert_cmpuint (plan.n_tokens, ==, 4 * n);
    for (guint k = 0; k < n; k++) {
      g_assert_cmpuint (plan.sub[k].width, ==, 18);
      g_assert_cmpuint (plan.sub[k].row, ==, k + 1 < n ? 1 + k / columns : 0);
      g_assert_cmpuint (plan.sub[k].column, ==, k + 1 < n ? 1 + k % columns : 0);
      g_assert_cmpint (plan.sub[k].thumbnail, ==, n > 1 && k + 1 == n);
    }
    options.whole = TRUE;
    g_assert_true (tern_vision_plan (vision, smol_sizes[i].width, smol_sizes[i].height, &options, &plan, &error));
    g_assert_cmpuint (plan.n, ==, 1);
    options = (TernVisionOptions) { .min_tokens = 5 };
    g_assert_false (tern_vision_plan (vision, 10, 10, &options, &plan, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
    g_assert_nonnull (strstr (error->message, "idefics3"));
  }
}

static void
test_refused_limits (void)
{
  static const guint limits[][2] = { { 2048, 1024 }, { 100, 200 }, { 1024, 1u << 31 } };

  for (guint i = 0; i < G_N_ELEMENTS (limits); i++) {
    Config config = { "limits", LFM2_VL, .min_pixels = limits[i][0], .max_pixels = limits[i][1] };
    g_autoptr (GHashTable) tensors = tensors_new ();
    g_autoptr (GError) error = NULL;

    g_assert_null (open_config (&config, tensors, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_FORMAT);
    g_assert_nonnull (strstr (error->message, "image_max_pixels"));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/vision-open/sizes", test_sizes);
  g_test_add_func ("/vision-open/limits", test_limits);
  g_test_add_func ("/vision-open/refused-sizes", test_refused_sizes);
  g_test_add_func ("/vision-open/refused-files", test_refused_files);
  g_test_add_func ("/vision/other-tensors", test_other_tensors);
  g_test_add_func ("/vision/zeros", test_zeros);
  g_test_add_func ("/vision-open/refused-motion", test_refused_motion);
  g_test_add_func ("/vision-open/refused-limits", test_refused_limits);
  g_test_add_func ("/vision-open/refused-smol", test_refused_smol);
  g_test_add_func ("/vision-open/smol-sizes", test_smol_sizes);
  return g_test_run ();
}
