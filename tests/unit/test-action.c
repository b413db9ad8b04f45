/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Heads of action models: published numbers, a reference in double precision, when a stream of decisions begins anew,
 * and files that must be refused. */
#include <math.h>

#include "engine/action/head-priv.h"
#include "tern/error.h"
#include "tests/unit/action-file.h"

#define NS G_GUINT64_CONSTANT (1000000000)

/* ---- The cell ---------------------------------------------------------------------------------------------------- */

/* Numbers that ncps's CfCCell gives for one unit. */
static void
test_cell (void)
{
  const float f1 = 0.5f, f2 = -0.25f, a = 0.8f, b = -0.3f, tau = 0.1f, asymptote = 1, raw = 0.4f;
  const struct { float seconds, gated, ungated; } cases[] = {
    { 0, 0.161233f, 0.357890f }, { 1, 0.022016f, 0.309665f }, { 2, -0.093496f, NAN },
  };
  float h;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    tern_cfc_step (&h, &f1, &f2, &a, &b, cases[i].seconds, TRUE, 1);
    g_assert_cmpfloat_with_epsilon (h, cases[i].gated, 1e-6);
    tern_cfc_step (&h, &f1, &f2, &a, &b, cases[i].seconds, FALSE, 1);
    if (!isnan (cases[i].ungated))
      g_assert_cmpfloat_with_epsilon (h, cases[i].ungated, 1e-6);
  }
  tern_cfc_step_pure (&h, &raw, &tau, &asymptote, 0, 1);
  g_assert_cmpfloat_with_epsilon (h, 0.6, 1e-6);
  tern_cfc_step_pure (&h, &raw, &tau, &asymptote, 1, 1);
  g_assert_cmpfloat_with_epsilon (h, 0.757388, 1e-6);
}

/* ---- A reference in double precision ----------------------------------------------------------------------------- */

typedef struct {
  const ActionFile *file;
  double h[64];
} Reference;

static const float *
tensor (const ActionFile *f, const char *stem, const char *suffix)
{
  g_autofree char *name = g_strconcat (stem, suffix, NULL);
  const float *values = g_hash_table_lookup (f->tensors, name);

  g_assert_nonnull (values);
  return values;
}

static void
multiply (const ActionFile *f, const char *stem, const double *x, guint in, double *y, guint out)
{
  const float *w = tensor (f, stem, ".weight"), *b = tensor (f, stem, ".bias");

  for (guint r = 0; r < out; r++) {
    y[r] = b[r];
    for (guint c = 0; c < in; c++)
      y[r] += (double) w[r * in + c] * x[c];
  }
}

static double
activated (const char *name, double x)
{
  if (g_str_equal (name, "relu"))
    return x > 0 ? x : 0;
  if (g_str_equal (name, "gelu"))
    return 0.5 * x * (1 + erf (x / sqrt (2)));
  if (g_str_equal (name, "silu"))
    return x / (1 + exp (-x));
  return g_str_equal (name, "tanh") ? tanh (x) : 1.7159 * tanh (0.666 * x);
}

static guint
through (const ActionFile *f, const char *stem, guint n, double *x, guint in)
{
  double y[128];

  for (guint i = 0; i < n; i++) {
    g_autofree char *name = g_strdup_printf ("%s%u", stem, i);

    multiply (f, name, x, in, y, f->inner);
    for (guint c = 0; c < f->inner; c++)
      x[c] = activated (f->activation, y[c]);
    in = f->inner;
  }
  return in;
}

static void
reference_cell (Reference *r, const double *z, guint in, double seconds)
{
  const ActionFile *f = r->file;
  double f1[64], f2[64], a[64], b[64];

  multiply (f, "cfc.ff1", z, in, f1, f->units);
  if (g_str_equal (f->mode, "pure")) {
    const float *asymptote = tensor (f, "cfc.a", ""), *tau = tensor (f, "cfc.w_tau", "");

    for (guint i = 0; i < f->units; i++)
      r->h[i] = asymptote[i] - asymptote[i] * exp (-seconds * (fabs (tau[i]) + fabs (f1[i]))) * f1[i];
    return;
  }
  multiply (f, "cfc.ff2", z, in, f2, f->units);
  multiply (f, "cfc.time_a", z, in, a, f->units);
  multiply (f, "cfc.time_b", z, in, b, f->units);
  for (guint i = 0; i < f->units; i++) {
    double gate = 1 / (1 + exp (-(a[i] * seconds + b[i])));

    r->h[i] = tanh (f1[i]) * (g_str_equal (f->mode, "no_gate") ? 1 : 1 - gate) + gate * tanh (f2[i]);
  }
}

static void
reference_decide (Reference *r, const float *hidden, const float *state, double seconds, double *actions)
{
  const ActionFile *f = r->file;
  gboolean by_range = g_str_equal (f->normalization, "min_max"), plain = g_str_equal (f->normalization, "none");
  guint states = f->state * (1 + f->n_lags), seen = f->width + states, n = f->steps * f->dims, in;
  double x[128], y[64], skipped[64] = { 0 };

  for (guint i = 0; i < f->width; i++)
    x[i] = hidden[i];
  for (guint i = 0; i < states; i++) {
    double first = -0.5 + 0.25 * (i % f->state), second = 1.5 + 0.5 * (i % f->state);

    x[f->width + i] = plain ? state[i] : by_range ? 2 * (state[i] - first) / (second - first) - 1
        : (state[i] - first) / second;
  }
  if (g_str_equal (f->kind, "cfc")) {
    memcpy (x + seen, r->h, f->units * sizeof *x);
    in = through (f, "cfc.backbone.", f->n_inner, x, seen + f->units);
    reference_cell (r, x, in, seconds);
    multiply (f, "output", r->h, f->units, y, n);
  } else {
    g_autofree char *last = g_strdup_printf ("mlp.%u", f->n_inner);

    x[seen] = seconds;
    x[seen + 1] = log (1 + seconds);
    if (f->skip)
      multiply (f, "mlp.skip", x, seen + f->times, skipped, n);
    in = through (f, "mlp.", f->n_inner, x, seen + f->times);
    multiply (f, last, x, in, y, n);
    for (guint i = 0; i < n; i++)
      y[i] += skipped[i];
  }
  for (guint i = 0; i < n; i++) {
    double first = -2 + 1.5 * (i % f->dims), second = 2.5 + 3 * (i % f->dims);
    double action = plain ? y[i] : by_range ? first + (y[i] + 1) / 2 * (second - first) : first + second * y[i];

    actions[i] = CLAMP (action, -f->range, f->range);
  }
}

/* ---- Heads ------------------------------------------------------------------------------------------------------- */

typedef struct {
  ActionFile file;
  Reference reference;
  TernActionRun *run;
  float hidden[64], state[16];
} Decider;

static void
decider_init (Decider *d, const ActionFile *file)
{
  g_autoptr (GByteArray) bytes = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (TernActionHead) head = NULL;

  *d = (Decider) { .file = *file };
  bytes = action_file_write (&d->file);
  head = tern_action_head_open_memory (bytes->data, bytes->len, "memory", &error);
  g_assert_no_error (error);
  d->run = tern_action_run_new (head, &error);
  g_assert_no_error (error);
  d->reference.file = &d->file;
}

static void
decider_clear (Decider *d)
{
  tern_action_run_free (d->run);
  action_file_clear (&d->file);
}

/* A decision at @time, @seconds after the one before. */
static void
decide (Decider *d, guint64 time, double seconds)
{
  double found[64], expected[64];
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < d->file.width; i++)
    d->hidden[i] = (float) g_rand_double_range (d->file.rand, -2, 2);
  for (guint i = 0; i < d->file.state * (1 + d->file.n_lags); i++)
    d->state[i] = (float) g_rand_double_range (d->file.rand, -2, 2);
  g_assert_true (tern_action_run_decide (d->run, d->hidden, d->state, time, found, &error));
  g_assert_no_error (error);
  reference_decide (&d->reference, d->hidden, d->state, seconds, expected);
  for (guint i = 0; i < d->file.steps * d->file.dims; i++)
    g_assert_cmpfloat_with_epsilon (found[i], expected[i], 1e-4);
}

/* Irregular times; three of them begin anew. */
static void
run_stream (const ActionFile *file)
{
  Decider d;

  decider_init (&d, file);
  decide (&d, 5 * NS, file->first);
  decide (&d, 5 * NS + NS / 10, 0.1);
  decide (&d, 6 * NS, 0.9);
  decide (&d, 6 * NS, 0);
  decide (&d, 16 * NS, 10);
  memset (d.reference.h, 0, sizeof d.reference.h);
  decide (&d, 26 * NS + 1, file->first);        /* too long a gap */
  decide (&d, 27 * NS + 1, 1);
  memset (d.reference.h, 0, sizeof d.reference.h);
  decide (&d, 3 * NS, file->first);     /* a jump back */
  decide (&d, 4 * NS, 1);
  memset (d.reference.h, 0, sizeof d.reference.h);
  tern_action_run_reset (d.run);
  decide (&d, 5 * NS, file->first);
  decider_clear (&d);
}

static void
test_mlp (void)
{
  static const char *const activations[] = { "relu", "gelu", "silu", "tanh", "lecun_tanh" };
  ActionFile file = action_file ("mlp");

  for (guint i = 0; i < G_N_ELEMENTS (activations); i++) {
    file.activation = activations[i];
    file.n_inner = i;
    file.times = i % 3;
    run_stream (&file);
  }
}

static void
test_cfc (void)
{
  static const char *const modes[] = { "default", "no_gate", "pure" };
  ActionFile file = action_file ("cfc");

  file.first = 0.25f;
  for (guint i = 0; i < G_N_ELEMENTS (modes); i++) {
    file.mode = modes[i];
    for (file.n_inner = 0; file.n_inner < 3; file.n_inner++)
      run_stream (&file);
  }
}

/* States of before, a layer that goes by the others. */
static void
test_lags (void)
{
  for (guint kind = 0; kind < 2; kind++)
    for (guint n_lags = 0; n_lags <= 4; n_lags += 2)
      for (guint skip = 0; skip < 2 - kind; skip++) {
        ActionFile file = action_file (kind ? "cfc" : "mlp");

        file.n_lags = n_lags;
        file.skip = skip;
        file.times = skip;
        run_stream (&file);
      }
}

static void
test_scaling (void)
{
  ActionFile file = action_file ("mlp");

  file.normalization = "min_max";
  run_stream (&file);
  file.normalization = "none";
  run_stream (&file);
  file.state = 0;               /* a model that sees alone */
  run_stream (&file);
  file.normalization = "mean_std";
  file.range = 0.5f;            /* most numbers are beyond it */
  run_stream (&file);
}

static void
test_info (void)
{
  g_auto (ActionFile) file = action_file ("cfc");
  g_autoptr (TernActionHead) head = NULL;
  g_autoptr (GByteArray) bytes = NULL;
  g_autoptr (GError) error = NULL;
  const TernActionInfo *info;

  file.frames = 3;
  file.encoder_id = "0123";
  bytes = action_file_write (&file);
  head = tern_action_head_open_memory (bytes->data, bytes->len, "memory", &error);
  g_assert_no_error (error);
  info = tern_action_head_info (head);
  g_assert_cmpint (info->kind, ==, TERN_ACTION_CFC);
  g_assert_cmpstr (info->name, ==, "test head");
  g_assert_cmpstr (info->space, ==, "arm");
  g_assert_cmpuint (info->dims, ==, 2);
  g_assert_cmpuint (info->steps, ==, 4);
  g_assert_cmpuint (info->rate_n, ==, 30);
  g_assert_cmpuint (info->rate_d, ==, 1);
  g_assert_cmpstr (info->names[1], ==, "joint1");
  g_assert_cmpstr (info->units[0], ==, "rad0");
  g_assert_null (info->names[2]);
  g_assert_cmpfloat (info->minimum[1], ==, -100);
  g_assert_cmpfloat (info->maximum[0], ==, 100);
  g_assert_cmpuint (info->state_dims, ==, 3);
  g_assert_cmpuint (info->width, ==, 24);
  g_assert_cmpuint (info->frames, ==, 3);
  g_assert_cmpstr (info->encoder_id, ==, "0123");
  g_assert_null (info->language_model);
}

/* Nothing that is no number goes in or comes out, and what was remembered on the way to one is forgotten. */
static void
test_not_finite (void)
{
  ActionFile file = action_file ("cfc");
  g_autoptr (GError) error = NULL;
  double actions[8];
  Decider d;

  file.mode = "pure";
  file.n_inner = 0;
  decider_init (&d, &file);
  decide (&d, NS, 1);
  d.hidden[3] = NAN;
  g_assert_false (tern_action_run_decide (d.run, d.hidden, d.state, 2 * NS, actions, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_FAILED);
  g_assert_cmpstr (error->message, ==, "hidden state: expected finite numbers, found nan at 3");
  g_clear_error (&error);
  d.hidden[3] = 0;
  d.state[1] = INFINITY;
  g_assert_false (tern_action_run_decide (d.run, d.hidden, d.state, 2 * NS, actions, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, "robot's state"));
  decide (&d, 2 * NS, 1);       /* neither was a decision */

  g_clear_error (&error);
  for (guint i = 0; i < file.width; i++)
    d.hidden[i] = 3e38f;
  d.state[1] = 0;
  g_assert_false (tern_action_run_decide (d.run, d.hidden, d.state, 3 * NS, actions, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_FAILED);
  g_assert_true (g_str_has_prefix (error->message, "memory: expected finite numbers, found "));
  memset (d.reference.h, 0, sizeof d.reference.h);
  decide (&d, 3 * NS, 1);
  decider_clear (&d);
}

/* Each number is the likeliest token of its own set, whatever is likelier elsewhere; its value, the bin's middle. */
static void
test_tokens (void)
{
  g_auto (ActionFile) file = action_file ("tokens");
  g_autoptr (TernActionHead) head = NULL;
  g_autoptr (GByteArray) bytes = NULL;
  g_autoptr (GError) error = NULL;
  float logits[32] = { [5] = 100, [11] = 3, [13] = 2, [15] = 50, [20] = 7, [21] = 6, [22] = -1 };
  gint32 said[8];
  double actions[8];

  file.state = 0;
  file.normalization = "none";
  bytes = action_file_write (&file);
  head = tern_action_head_open_memory (bytes->data, bytes->len, "memory", &error);
  g_assert_no_error (error);
  g_assert_cmpint (tern_action_head_info (head)->kind, ==, TERN_ACTION_TOKENS);
  g_assert_cmpuint (tern_action_head_info (head)->vocabulary, ==, 24);
  for (guint i = 0; i < 8; i++) {
    said[i] = tern_action_head_choose (head, i, logits, &error);
    g_assert_no_error (error);
    g_assert_cmpint (said[i], ==, i % 2 ? 20 : 11);
  }
  said[2] = 13;
  said[3] = 22;
  tern_action_head_spell (head, said, actions);
  for (guint i = 0; i < 8; i++)
    g_assert_cmpfloat_with_epsilon (actions[i], i == 2 ? 0.625 : i == 3 ? 0.1 : i % 2 ? 1.25 : -0.25, 1e-7);
  logits[12] = NAN;
  g_assert_cmpint (tern_action_head_choose (head, 1, logits, &error), ==, 20);
  g_assert_cmpint (tern_action_head_choose (head, 0, logits, &error), ==, -1);
  g_assert_error (error, TERN_ERROR, TERN_ERROR_FAILED);
}

/* ---- Files that lie ---------------------------------------------------------------------------------------------- */

static void
put_text (GgufWriter *w, const char *name)
{
  writer_string (w, name, "something else");
}

static void
put_nothing (GgufWriter *w, const char *name)
{
  writer_string (w, name, "");
}

static void
put_bell (GgufWriter *w, const char *name)
{
  writer_string (w, name, "a\ab");
}

static void
put_zero (GgufWriter *w, const char *name)
{
  writer_u32 (w, name, 0);
}

static void
put_much (GgufWriter *w, const char *name)
{
  writer_u32 (w, name, G_MAXUINT32);
}

static void
put_floats (GgufWriter *w, const char *name, float value, guint n)
{
  writer_array (w, name, TERN_GGUF_F32, n);
  for (guint i = 0; i < n; i++)
    put_bytes (w->keys, &value, sizeof value);
}

static void
put_nans (GgufWriter *w, const char *name)
{
  put_floats (w, name, NAN, 2);
}

static void
put_seven (GgufWriter *w, const char *name)
{
  put_floats (w, name, 1, 7);
}

static void
put_low (GgufWriter *w, const char *name)
{
  put_floats (w, name, -1000, 2);
}

static void
put_zeros (GgufWriter *w, const char *name)
{
  put_floats (w, name, 0, 3);
}

static void
put_texts (GgufWriter *w, const char *name)
{
  writer_array (w, name, TERN_GGUF_STRING, 2);
  put_string (w->keys, "good");
  put_string (w->keys, "\xff\xfe");
}

static void
put_empty_texts (GgufWriter *w, const char *name)
{
  writer_array (w, name, TERN_GGUF_STRING, 2);
  put_string (w->keys, "");
  put_string (w->keys, "");
}

static void
put_negative (GgufWriter *w, const char *name)
{
  writer_array (w, name, TERN_GGUF_I32, 1);
  put_u32 (w->keys, (guint32) -20);
}

static void
put_many (GgufWriter *w, const char *name)
{
  writer_array (w, name, TERN_GGUF_I32, 100);
  for (guint i = 0; i < 100; i++)
    put_u32 (w->keys, 20);
}

static void
put_small_tensor (GgufWriter *w, const char *name)
{
  writer_tensor (w, name, 2, (guint64[]) { 3, 2 }, TERN_TYPE_F32, (float[6]) { 0 }, 6 * sizeof (float));
}

static void
put_integers (GgufWriter *w, const char *name)
{
  writer_tensor (w, name, 1, (guint64[]) { 12 }, TERN_TYPE_I32, (gint32[12]) { 0 }, 12 * sizeof (gint32));
}

static void
put_infinite (GgufWriter *w, const char *name)
{
  writer_tensor (w, name, 1, (guint64[]) { 12 }, TERN_TYPE_F32, (float[12]) { [5] = INFINITY }, 12 * sizeof (float));
}

static void
put_twice (GgufWriter *w, const char *name)
{
  const gint32 ids[] = { 7, 8, 9, 8 };

  writer_array (w, name, TERN_GGUF_I32, 4);
  put_bytes (w->keys, ids, sizeof ids);
}

static void
put_falling (GgufWriter *w, const char *name)
{
  const float edges[] = { 0, 1, 2, 1, 3 };

  writer_array (w, name, TERN_GGUF_F32, 5);
  put_bytes (w->keys, edges, sizeof edges);
}

static const struct {
  const char *kind;
  ActionFlaw flaw;
  TernErrorCode code;
  const char *expected;         /* in the message, behind the name */
} flaws[] = {
  { "mlp", { "general.architecture", put_text }, TERN_ERROR_FORMAT, "tern-action; found \"something else\"" },
  { "mlp", { "general.architecture" }, TERN_ERROR_FORMAT, "" },
  { "mlp", { "general.name", put_bell }, TERN_ERROR_FORMAT, "without control characters" },
  { "mlp", { "tern-action.kind", put_text }, TERN_ERROR_FORMAT, "mlp, cfc, tokens" },
  { "mlp", { "tern-action.kind", put_zero }, TERN_ERROR_FORMAT, "a string" },
  { "mlp", { "tern-action.space" }, TERN_ERROR_FORMAT, "" },
  { "mlp", { "tern-action.space", put_nothing }, TERN_ERROR_FORMAT, "" },
  { "mlp", { "tern-action.dims", put_zero }, TERN_ERROR_FORMAT, "from 1 to 256, found 0" },
  { "mlp", { "tern-action.dims", put_much }, TERN_ERROR_FORMAT, "from 1 to 256" },
  { "mlp", { "tern-action.dims", put_text }, TERN_ERROR_FORMAT, "an integer" },
  { "mlp", { "tern-action.steps", put_much }, TERN_ERROR_FORMAT, "from 1 to 1024" },
  { "mlp", { "tern-action.steps" }, TERN_ERROR_FORMAT, "" },
  { "mlp", { "tern-action.rate.numerator", put_zero }, TERN_ERROR_FORMAT, "from 1" },
  { "mlp", { "tern-action.rate.denominator", put_zero }, TERN_ERROR_FORMAT, "from 1" },
  { "mlp", { "tern-action.state.dims", put_much }, TERN_ERROR_FORMAT, "from 0 to 1024" },
  { "mlp", { "tern-action.state.lags", put_text }, TERN_ERROR_FORMAT, "an array of f32" },
  { "mlp", { "tern-action.state.lags", put_falling }, TERN_ERROR_FORMAT, "rising seconds above 0, at most 2, found 0 at 0" },
  { "mlp", { "tern-action.state.lags", put_nans }, TERN_ERROR_FORMAT, "finite numbers, found nan" },
  { "mlp", { "tern-action.mlp.skip", put_much }, TERN_ERROR_FORMAT, "from 0 to 1" },
  { "mlp", { "tern-action.embedding_length", put_much }, TERN_ERROR_FORMAT, "from 1" },
  { "mlp", { "tern-action.frames", put_zero }, TERN_ERROR_FORMAT, "from 1 to 64" },
  { "mlp", { "tern-action.names", put_texts }, TERN_ERROR_FORMAT, "at 1" },
  { "mlp", { "tern-action.names", put_empty_texts }, TERN_ERROR_FORMAT, "none empty" },
  { "mlp", { "tern-action.names", put_seven }, TERN_ERROR_FORMAT, "array of string" },
  { "mlp", { "tern-action.names" }, TERN_ERROR_FORMAT, "" },
  { "mlp", { "tern-action.units", put_texts }, TERN_ERROR_FORMAT, "at 1" },
  { "mlp", { "tern-action.minimum", put_nans }, TERN_ERROR_FORMAT, "finite numbers, found nan at 0" },
  { "mlp", { "tern-action.minimum", put_seven }, TERN_ERROR_FORMAT, "2 numbers, found 7" },
  { "mlp", { "tern-action.minimum", put_text }, TERN_ERROR_FORMAT, "an array of f32" },
  { "mlp", { "tern-action.maximum", put_low }, TERN_ERROR_FORMAT, "the minimum, -100, found -1000 at 0" },
  { "mlp", { "tern-action.maximum" }, TERN_ERROR_FORMAT, "" },
  { "mlp", { "tern-action.state.normalization", put_text }, TERN_ERROR_FORMAT, "none, mean_std, min_max" },
  { "mlp", { "tern-action.state.mean" }, TERN_ERROR_FORMAT, "" },
  { "mlp", { "tern-action.state.std", put_zeros }, TERN_ERROR_FORMAT, "found 0 at 0" },
  { "mlp", { "tern-action.action.std", put_nans }, TERN_ERROR_FORMAT, "found nan" },
  { "mlp", { "tern-action.action.mean", put_seven }, TERN_ERROR_FORMAT, "2 numbers, found 7" },
  { "mlp", { "tern-action.mlp.time_features", put_much }, TERN_ERROR_FORMAT, "from 0 to 2" },
  { "mlp", { "tern-action.mlp.activation", put_text }, TERN_ERROR_FORMAT, "relu, gelu" },
  { "mlp", { "tern-action.mlp.widths", put_negative }, TERN_ERROR_FORMAT, "found -20 at 0" },
  { "mlp", { "tern-action.mlp.widths", put_many }, TERN_ERROR_FORMAT, "at most 15 integers, found 100" },
  { "mlp", { "tern-action.mlp.widths", put_text }, TERN_ERROR_FORMAT, "an array of u32" },
  { "mlp", { "mlp.0.weight", put_small_tensor }, TERN_ERROR_FORMAT, "33 x 20, found 3 x 2" },
  { "mlp", { "mlp.1.weight" }, TERN_ERROR_FORMAT, "20 x 8, found no such tensor" },
  { "mlp", { "mlp.1.bias" }, TERN_ERROR_FORMAT, "no such tensor" },
  { "cfc", { "tern-action.cfc.units" }, TERN_ERROR_FORMAT, "" },
  { "cfc", { "tern-action.cfc.units", put_much }, TERN_ERROR_FORMAT, "from 1 to 65536" },
  { "cfc", { "tern-action.cfc.mode", put_text }, TERN_ERROR_FORMAT, "default, no_gate, pure" },
  { "cfc", { "tern-action.cfc.backbone_layers", put_much }, TERN_ERROR_FORMAT, "from 0 to 16" },
  { "cfc", { "tern-action.cfc.backbone_units", put_zero }, TERN_ERROR_FORMAT, "from 1 to 65536" },
  { "cfc", { "tern-action.cfc.backbone_activation", put_text }, TERN_ERROR_FORMAT, "relu, gelu" },
  { "cfc", { "cfc.backbone.0.weight", put_small_tensor }, TERN_ERROR_FORMAT, "39 x 20, found 3 x 2" },
  { "cfc", { "cfc.ff1.bias", put_infinite }, TERN_ERROR_FORMAT, "finite numbers, found inf at 5" },
  { "cfc", { "cfc.ff2.bias", put_integers }, TERN_ERROR_UNSUPPORTED, "I32" },
  { "cfc", { "cfc.time_a.weight" }, TERN_ERROR_FORMAT, "no such tensor" },
  { "cfc", { "cfc.time_b.weight" }, TERN_ERROR_FORMAT, "no such tensor" },
  { "tokens", { "tern-action.tokens.bins" }, TERN_ERROR_FORMAT, "" },
  { "tokens", { "tern-action.tokens.bins", put_zero }, TERN_ERROR_FORMAT, "from 2 to 65536" },
  { "tokens", { "tern-action.tokens.ids" }, TERN_ERROR_FORMAT, "a token for each bin: 4, or 8" },
  { "tokens", { "tern-action.tokens.ids", put_many }, TERN_ERROR_FORMAT, "a token for each bin: 4, or 8" },
  { "tokens", { "tern-action.tokens.ids", put_twice }, TERN_ERROR_FORMAT, "found 8 twice" },
  { "tokens", { "tern-action.tokens.edges", put_seven }, TERN_ERROR_FORMAT, "than there are bins: 5, or 10" },
  { "tokens", { "tern-action.tokens.edges", put_falling }, TERN_ERROR_FORMAT, "found 1 after 2" },
  { "cfc", { "output.weight", put_small_tensor }, TERN_ERROR_FORMAT, "12 x 8, found 3 x 2" },
};

static void
test_refused (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (flaws); i++) {
    g_auto (ActionFile) file = action_file (flaws[i].kind);
    g_autoptr (GByteArray) bytes = NULL;
    g_autoptr (GError) error = NULL;
    g_autofree char *after = NULL;

    file.flaw = flaws[i].flaw;
    if (g_str_equal (flaws[i].kind, "mlp"))
      file.n_lags = 2;
    if (g_str_equal (flaws[i].kind, "tokens"))
      file.state = 0;
    bytes = action_file_write (&file);
    g_assert_null (tern_action_head_open_memory (bytes->data, bytes->len, "memory", &error));
    g_test_message ("%s", error ? error->message : flaws[i].flaw.name);
    g_assert_error (error, TERN_ERROR, (int) flaws[i].code);
    after = g_strdup_printf (" %s: ", flaws[i].flaw.name);
    g_assert_true (g_str_has_prefix (error->message, "memory: "));
    g_assert_nonnull (strstr (error->message, after));
    g_assert_nonnull (strstr (strstr (error->message, after), flaws[i].expected));
  }
}

/* Cut off anywhere: an error, never a crash. */
static void
test_cut (void)
{
  g_auto (ActionFile) file = action_file ("cfc");
  g_autoptr (GByteArray) bytes = action_file_write (&file);

  for (guint n = 0; n < bytes->len; n += n < 4096 ? 7 : 997) {
    g_autofree guint8 *part = g_memdup2 (bytes->data, MAX (n, 1));
    g_autoptr (GError) error = NULL;

    g_assert_null (tern_action_head_open_memory (part, n, "memory", &error));
    g_assert_nonnull (error);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/action/cell", test_cell);
  g_test_add_func ("/action/mlp", test_mlp);
  g_test_add_func ("/action/cfc", test_cfc);
  g_test_add_func ("/action/lags", test_lags);
  g_test_add_func ("/action/scaling", test_scaling);
  g_test_add_func ("/action/info", test_info);
  g_test_add_func ("/action/not-finite", test_not_finite);
  g_test_add_func ("/action/tokens", test_tokens);
  g_test_add_func ("/action/refused", test_refused);
  g_test_add_func ("/action/cut", test_cut);
  return g_test_run ();
}
