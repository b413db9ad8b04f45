/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Contracts of rotated matrices: what they mean, and that none that is unknown or broken gets through. */
#include "engine/weights/rotation.h"
#include "tests/unit/gguf-writer.h"

#define P "prism.hadamard."
#define WIDTH 128
#define OTHER 64

/* What a file says; NULL, 0: what is right. */
typedef struct {
  const char *key;              /* that the error names; NULL: it is right */
  const char *found;            /* that the error quotes; NULL: whatever */
  guint version, block;
  const char *transform, *axis, *mode, *name, *inverse;
  gboolean no_version, tied, identity, no_values, short_values, zero_sign, float_values, small_values, no_names, twice, no_output,
    no_width, grouped, cut_heads;
} Contract;

static const Contract contracts[] = {
  { NULL },
  { NULL, .identity = TRUE },
  { NULL, .small_values = TRUE },
  { NULL, .grouped = TRUE },
  { NULL, .version = 2, .tied = TRUE, .no_output = TRUE },
  { P "version", "3", .version = 3 },
  { P "version", "none", .no_version = TRUE },
  { P "version", "2", .version = 2 },
  { P "version", "2", .version = 2, .tied = TRUE },
  { P "version", "1", .no_output = TRUE },
  { P "tied_output", "true", .tied = TRUE },
  { P "block_size", "96", .block = 96 },
  { P "block_size", "4096", .block = 4096 },
  { P "block_size", "4096", .block = 4096, .identity = TRUE },
  { P "transform", "\"dct\"", .transform = "dct" },
  { P "axis", "\"output\"", .axis = "output" },
  { P "sign_mode", "\"seeded\"", .mode = "seeded" },
  { P "sign_values", "none", .no_values = TRUE },
  { P "sign_values", "191", .short_values = TRUE },
  { P "sign_values", "found 0", .zero_sign = TRUE },
  { P "sign_values", "f32", .float_values = TRUE },
  { P "sign_widths", "64", .no_width = TRUE },
  { P "weight_names", "none", .no_names = TRUE },
  { P "weight_names", "twice", .twice = TRUE },
  { P "weight_names", "blk.9.attn_q.weight", .name = "blk.9.attn_q.weight" },
  { P "weight_names", "blk.0.attn_norm.weight", .name = "blk.0.attn_norm.weight" },
  { P "inverse_weight_names", "output.weight", .inverse = "output.weight" },
  { P "gdn_v_grouped", "5 heads", .grouped = TRUE, .cut_heads = TRUE },
};

static gint
sign_of (const Contract *c, guint i)
{
  return c->zero_sign && i == 70 ? 0 : i % 3 == 1 ? -1 : 1;
}

static void
write_signs (GgufWriter *w, const Contract *c)
{
  guint n = WIDTH + (c->no_width ? 0 : OTHER), i;

  writer_array (w, P "sign_widths", TERN_GGUF_I32, c->no_width ? 1 : 2);
  put_u32 (w->keys, WIDTH);
  if (!c->no_width)
    put_u32 (w->keys, OTHER);
  n -= c->short_values;
  if (c->no_values)
    return;
  writer_array (w, P "sign_values", c->float_values ? TERN_GGUF_F32 : c->small_values ? TERN_GGUF_I8 : TERN_GGUF_I32, n);
  for (i = 0; i < n; i++) {
    gint8 sign = (gint8) sign_of (c, i);

    if (c->small_values)
      put_bytes (w->keys, &sign, 1);
    else
      put_u32 (w->keys, (guint32) sign_of (c, i));
  }
}

static void
write_contract (GgufWriter *w, const Contract *c)
{
  if (!c->no_version)
    writer_u32 (w, P "version", c->version ? c->version : 1);
  writer_u32 (w, P "block_size", c->block ? c->block : 32);
  writer_string (w, P "transform", c->transform ? c->transform : "normalized-sylvester-walsh-hadamard");
  writer_string (w, P "axis", c->axis ? c->axis : "input-last-dimension");
  writer_string (w, P "sign_mode", c->mode ? c->mode : c->identity ? "identity" : "explicit");
  if (!c->identity)
    write_signs (w, c);
  writer_array (w, P "weight_names", TERN_GGUF_STRING, c->no_names ? 0 : 3);
  if (!c->no_names) {
    put_string (w->keys, "blk.0.attn_q.weight");
    put_string (w->keys, c->twice ? "blk.0.attn_q.weight" : "blk.0.ssm_out.weight");
    put_string (w->keys, c->name ? c->name : "blk.0.ffn_down.weight");
  }
  writer_array (w, P "inverse_weight_names", TERN_GGUF_STRING, 1);
  put_string (w->keys, c->inverse ? c->inverse : "token_embd.weight");
  writer_number (w, P "tied_output", TERN_GGUF_BOOL, c->tied ? "\1" : "\0", 1);
  writer_number (w, P "gdn_v_grouped", TERN_GGUF_BOOL, c->grouped ? "\1" : "\0", 1);
}

static GByteArray *
write_file (const Contract *c)
{
  static const struct {
    const char *name;
    guint cols;
  } tensors[] = { { "token_embd.weight", WIDTH }, { "blk.0.attn_q.weight", WIDTH }, { "blk.0.ssm_out.weight", WIDTH },
    { "blk.0.ffn_down.weight", OTHER }, { "output.weight", WIDTH }, { "blk.0.attn_norm.weight", WIDTH } };
  static const float zeros[2 * WIDTH];
  g_auto (GgufWriter) w;
  gsize i;

  writer_init (&w);
  writer_string (&w, "general.architecture", "qwen35");
  writer_u32 (&w, "qwen35.ssm.group_count", c->cut_heads ? 1 : 2);
  writer_u32 (&w, "qwen35.ssm.time_step_rank", c->cut_heads ? 5 : 4);
  write_contract (&w, c);
  for (i = 0; i < G_N_ELEMENTS (tensors); i++) {
    const guint64 dims[2] = { tensors[i].cols, 2 };

    if (!c->no_output || strcmp (tensors[i].name, "output.weight") != 0)
      writer_tensor (&w, tensors[i].name, 2, dims, TERN_TYPE_F32, zeros, 2 * tensors[i].cols * sizeof (float));
  }
  return writer_finish (&w);
}

static TernLinear
bind (const TernGguf *file, TernRotations *rotations, const char *name, gboolean head)
{
  TernLinear linear;
  g_autoptr (GError) error = NULL;
  const TernTensor *tensor = tern_gguf_find (file, name);

  g_assert_true (tern_linear_init (&linear, tensor, tern_kernels_default (NULL), &error));
  tern_rotations_bind (rotations, &linear, head);
  return linear;
}

static void
check_bound (const Contract *c, const TernGguf *file, TernRotations *rotations)
{
  g_autoptr (GError) error = NULL;
  TernLinear q = bind (file, rotations, "blk.0.attn_q.weight", FALSE), out, down, embedding;

  g_assert_cmpuint (q.rotation->width, ==, WIDTH);
  g_assert_cmpuint (q.rotation->block, ==, 32);
  g_assert_cmpuint (q.rotation->key_heads, ==, 0);
  for (guint i = 0; i < WIDTH; i++)
    g_assert_true (c->identity ? !q.rotation->signs : q.rotation->signs[i] == sign_of (c, i));
  g_assert_null (q.row_rotation);
  g_assert_false (tern_rotations_check (rotations, &error));    /* two names are not bound yet */
  g_assert_nonnull (strstr (error->message, P "weight_names"));
  g_clear_error (&error);
  out = bind (file, rotations, "blk.0.ssm_out.weight", FALSE);
  g_assert_cmpuint (out.rotation->key_heads, ==, c->grouped ? 2 : 0);
  g_assert_cmpuint (out.rotation->value_heads, ==, c->grouped ? 4 : 0);
  g_assert_true ((out.rotation == q.rotation) == !c->grouped);  /* those that share an input share what is made of it */
  down = bind (file, rotations, "blk.0.ffn_down.weight", FALSE);
  g_assert_cmpuint (down.rotation->width, ==, OTHER);
  g_assert_true (c->identity || down.rotation->signs[0] == sign_of (c, WIDTH));
  embedding = bind (file, rotations, "token_embd.weight", c->no_output);
  g_assert_nonnull (embedding.row_rotation);
  g_assert_true ((embedding.rotation != NULL) == c->tied);
  g_assert_true (tern_rotations_check (rotations, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (tern_rotations_bytes (rotations), ==, c->identity ? 0 : (WIDTH + OTHER) * sizeof (float));
}

static void
test_contract (gconstpointer data)
{
  const Contract *c = data;
  g_autoptr (GByteArray) bytes = write_file (c);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open_memory (bytes->data, bytes->len, "rotated.gguf", &error);
  TernRotations *rotations = NULL;
  gboolean ok;

  g_assert_no_error (error);
  ok = tern_rotations_load (file, &rotations, &error);
  if (c->key) {
    g_assert_false (ok);
    g_assert_null (rotations);
    g_test_message ("%s", error->message);
    g_assert_nonnull (strstr (error->message, "rotated.gguf"));
    g_assert_nonnull (strstr (error->message, c->key));
    g_assert_nonnull (strstr (error->message, c->found));
    return;
  }
  g_assert_no_error (error);
  check_bound (c, file, rotations);
  tern_rotations_free (rotations);
}

/* Every byte of the header turned: an error, or something; never a crash. And a file that says nothing. */
static void
test_flips (void)
{
  static const Contract right = { NULL, .grouped = TRUE };
  g_autoptr (GByteArray) bytes = write_file (&right);
  TernRotations *rotations;
  guint refused = 0;

  for (guint at = 24; at < bytes->len && at < 4096; at++)
    for (guint bit = 0; bit < 8; bit += 3) {
      g_autoptr (TernGguf) file = NULL;
      g_autoptr (GError) error = NULL;

      bytes->data[at] ^= 1 << bit;
      file = tern_gguf_open_memory (bytes->data, bytes->len, "rotated.gguf", NULL);
      if (file && tern_rotations_load (file, &rotations, &error))
        tern_rotations_free (rotations);
      else
        refused++;
      bytes->data[at] ^= 1 << bit;
    }
  g_assert_cmpuint (refused, >, 100);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (contracts); i++) {
    g_autofree char *name = g_strdup_printf ("/rotation/%02u-%s", i, contracts[i].key ? contracts[i].key : "right");

    g_test_add_data_func (name, &contracts[i], test_contract);
  }
  g_test_add_func ("/rotation/flips", test_flips);
  return g_test_run ();
}
