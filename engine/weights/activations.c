/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/weights/activations.h"

#include <stdlib.h>
#include <string.h>

#include "tern/error.h"
#include "engine/weights/linear-binary.h"

static const char *const names[] = {
  [TERN_POLICY_FILE] = "", [TERN_POLICY_INT8] = "int8", [TERN_POLICY_W1A8] = "w1a8", [TERN_POLICY_A4_8] = "a4.8",
  [TERN_POLICY_V2] = "v2", [TERN_POLICY_V2_A8] = "v2-a8",
};

struct _TernPolicyBinding {
  const TernGguf *file;         /* borrowed for binding */
  TernActivationPolicy policy;
  gboolean forced;              /* on a file that names another */
  GPtrArray *rotations;         /* of TernRotation, one a width */
};

/* ---- Names ------------------------------------------------------------------------------------------------------- */

const char *
tern_policy_name (TernPolicyKind kind)
{
  return names[kind];
}

static gboolean
find_kind (const char *name, gsize len, TernPolicyKind *kind)
{
  for (guint i = TERN_POLICY_INT8; i < G_N_ELEMENTS (names); i++)
    if (strlen (names[i]) == len && memcmp (names[i], name, len) == 0) {
      *kind = i;
      return TRUE;
    }
  return FALSE;
}

static gboolean
turns (TernPolicyKind kind)
{
  return kind == TERN_POLICY_V2 || kind == TERN_POLICY_V2_A8;
}

static gboolean
is_power_of_two (guint64 n)
{
  return n != 0 && (n & (n - 1)) == 0;
}

gboolean
tern_policy_parse (const char *text, TernActivationPolicy *policy, GError **error)
{
  const char *colon = strchr (text, ':');
  guint64 block = 0;

  *policy = (TernActivationPolicy) { TERN_POLICY_FILE, 0 };
  if (!find_kind (text, colon ? (gsize) (colon - text) : strlen (text), &policy->kind)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "expected %s, found \"%s\"", TERN_POLICY_NAMES, text);
    return FALSE;
  }
  if (!colon)
    return TRUE;
  if (!turns (policy->kind) || !g_ascii_string_to_unsigned (colon + 1, 10, 1, G_MAXINT32, &block, NULL)
      || !is_power_of_two (block)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "expected a power of two behind \"v2:\" or \"v2-a8:\", found \"%s\"", text);
    return FALSE;
  }
  policy->block = block;
  return TRUE;
}

/* What @file names, int8 where it names nothing. FORMAT or UNSUPPORTED names the key. */
static gboolean
read_policy (const TernGguf *file, TernActivationPolicy *policy, GError **error)
{
  TernBytes name;

  *policy = (TernActivationPolicy) { TERN_POLICY_INT8, 0 };
  if (!tern_gguf_string_or (file, TERN_POLICY_KEY, &name, error))
    return FALSE;
  if (name.data && !find_kind (name.data, name.len, &policy->kind)) {
    g_autofree char *found = tern_bytes_quote (name);

    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: key %s: expected %s, found %s", tern_gguf_path (file),
        TERN_POLICY_KEY, TERN_POLICY_NAMES, found);
    return FALSE;
  }
  if (!tern_gguf_has (file, TERN_POLICY_BLOCK_KEY))
    return TRUE;
  if (!turns (policy->kind))
    return tern_gguf_bad_key (file, TERN_POLICY_BLOCK_KEY, error, "expected it beside " TERN_POLICY_KEY " \"v2\" or \"v2-a8\" "
        "alone, found \"%s\"", names[policy->kind]);
  if (!tern_gguf_u32 (file, TERN_POLICY_BLOCK_KEY, 1, G_MAXINT32, &policy->block, error))
    return FALSE;
  return is_power_of_two (policy->block) || tern_gguf_bad_key (file, TERN_POLICY_BLOCK_KEY, error,
      "expected a power of two, found %u", policy->block);
}

/* ---- Binding ----------------------------------------------------------------------------------------------------- */

TernPolicyBinding *
tern_policy_binding_new (const TernGguf *file, const TernActivationPolicy *forced, GError **error)
{
  TernActivationPolicy own;
  TernPolicyBinding *self;

  if (!read_policy (file, &own, error))
    return NULL;
  self = g_new0 (TernPolicyBinding, 1);
  self->file = file;
  self->policy = own;
  self->rotations = g_ptr_array_new_with_free_func (g_free);
  if (!forced || forced->kind == TERN_POLICY_FILE)
    return self;
  self->policy = *forced;
  /* What v2's two stages have in common is how the weights are turned. */
  if (turns (forced->kind) && turns (own.kind) && forced->block == 0)
    self->policy.block = own.block;
  if (turns (own.kind) && !(turns (forced->kind) && self->policy.block == own.block)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: activations: expected v2 or v2-a8 in the file's own blocks for "
        "weights that are rotated (key %s), found %s", tern_gguf_path (file), TERN_POLICY_KEY, names[forced->kind]);
    tern_policy_binding_free (self);
    return NULL;
  }
  self->forced = turns (forced->kind) ? !turns (own.kind) : forced->kind != own.kind;
  return self;
}

void
tern_policy_binding_free (TernPolicyBinding *self)
{
  if (!self)
    return;
  g_ptr_array_unref (self->rotations);
  g_free (self);
}

const TernActivationPolicy *
tern_policy_binding_policy (const TernPolicyBinding *self)
{
  return &self->policy;
}

gboolean
tern_policy_binding_changes_weights (const TernPolicyBinding *self)
{
  return self->forced && self->policy.kind == TERN_POLICY_W1A8;
}

/* Where in its block a matrix stands. */
typedef enum {
  FIRST,                        /* what makes queries, keys, values, gates */
  LAST_OF_MIXER,
  LAST_OF_FFN,
} Place;

static Place
place_of (const TernLinear *linear)
{
  if (g_str_has_suffix (linear->name, ".attn_output.weight") || g_str_has_suffix (linear->name, ".shortconv.out_proj.weight"))
    return LAST_OF_MIXER;
  return g_str_has_suffix (linear->name, ".ffn_down.weight") ? LAST_OF_FFN : FIRST;
}

static TernRounding
rounding_of (TernPolicyKind kind, Place place)
{
  switch (kind) {
    case TERN_POLICY_V2:
      return TERN_ROUNDING_I4;
    case TERN_POLICY_A4_8:
      return place == FIRST ? TERN_ROUNDING_I4 : place == LAST_OF_MIXER ? TERN_ROUNDING_I8_TOP : TERN_ROUNDING_I8;
    default:
      return TERN_ROUNDING_I8;
  }
}

static const TernRotation *
find_rotation (TernPolicyBinding *self, guint width, guint block)
{
  TernRotation *rotation;

  for (guint i = 0; i < self->rotations->len; i++) {
    rotation = g_ptr_array_index (self->rotations, i);
    if (rotation->width == width)
      return rotation;
  }
  rotation = g_new (TernRotation, 1);
  *rotation = (TernRotation) { .width = width, .block = block };
  g_ptr_array_add (self->rotations, rotation);
  return rotation;
}

/* H-BitLinear: the input is turned. */
static gboolean
turn_input (TernPolicyBinding *self, TernLinear *linear, GError **error)
{
  guint block = self->policy.block ? self->policy.block : linear->cols;
  const char *path = tern_gguf_path (self->file), *name = names[self->policy.kind];

  if (linear->rotation) {
    if (self->forced)
      return TRUE;              /* rotated weights are what the policy wants */
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: tensor %s: expected to be rotated by the key %s (\"%s\") or by "
        "prism.hadamard.weight_names, found both", path, linear->name, TERN_POLICY_KEY, name);
    return FALSE;
  }
  if (!is_power_of_two (block)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: tensor %s: expected a power of two of input features for "
        "activations %s, or blocks that they are made of (%s, or \"%s:BLOCK\"), found %u", path, linear->name, name,
        TERN_POLICY_BLOCK_KEY, name, linear->cols);
    return FALSE;
  }
  if (linear->cols % block) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor %s: expected a multiple of the %u values that activations %s "
        "turn at once, found %u input features", path, linear->name, block, name, linear->cols);
    return FALSE;
  }
  linear->rotation = find_rotation (self, linear->cols, block);
  linear->turns_back = self->forced;
  return TRUE;
}

gboolean
tern_policy_bind (TernPolicyBinding *self, TernLinear *linear, GError **error)
{
  TernPolicyKind kind = self->policy.kind;
  Place place;

  if (kind == TERN_POLICY_INT8 || !linear->rows)
    return TRUE;
  place = place_of (linear);
  linear->rounding = rounding_of (kind, place);
  if (turns (kind) && place != FIRST)
    return turn_input (self, linear, error);
  if (tern_policy_binding_changes_weights (self))
    return tern_linear_make_binary (linear, error);
  return TRUE;
}

gboolean
tern_policy_check_weights (const TernPolicyBinding *self, const TernLinear *linear, TernPool *pool, GError **error)
{
  if (self->policy.kind != TERN_POLICY_W1A8 || self->forced)
    return TRUE;
  if (tern_linear_check_binary (linear, pool, error))
    return TRUE;
  g_prefix_error (error, "%s: key %s \"%s\": ", tern_gguf_path (self->file), TERN_POLICY_KEY, names[self->policy.kind]);
  return FALSE;
}

/* ---- Sparse rows ------------------------------------------------------------------------------------------------- */

static guint32
magnitude_bits (float x)
{
  union { float f; guint32 u; } v = { x };

  return v.u & 0x7fffffff;
}

static gsize
count_from (const float *x, gsize n, guint32 least)
{
  gsize count = 0;

  for (gsize i = 0; i < n; i++)
    count += magnitude_bits (x[i]) >= least;
  return count;
}

void
tern_keep_top (float *x, gsize n, gsize keep)
{
  guint32 least = 0;
  gsize equal;

  if (keep >= n)
    return;
  /* The largest magnitude that @keep values reach, bit by bit: magnitudes are in the order of their bits. */
  for (guint32 bit = 1u << 30; bit; bit >>= 1)
    if (count_from (x, n, least | bit) >= keep)
      least |= bit;
  equal = keep - count_from (x, n, least + 1);
  for (gsize i = 0; i < n; i++) {
    guint32 bits = magnitude_bits (x[i]);

    if (bits == least && equal > 0)
      equal--;
    else if (bits <= least)
      x[i] = 0;
  }
}
