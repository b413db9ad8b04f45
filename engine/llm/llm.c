/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening a model: general keys, the family, what it owns. */
#include "engine/llm/model.h"

#include <string.h>

#include "tern/error.h"
#include "engine/llm/arch/arch.h"
#include "engine/llm/tensors.h"

static const TernArch *const families[] = {
  &tern_arch_bitnet, &tern_arch_falcon_h1, &tern_arch_granite, &tern_arch_granitehybrid, &tern_arch_granitemoe,
  &tern_arch_jamba, &tern_arch_lfm2, &tern_arch_lfm2moe, &tern_arch_llama, &tern_arch_mamba, &tern_arch_mamba2,
  &tern_arch_nemotron_h, &tern_arch_qwen2, &tern_arch_qwen3, &tern_arch_qwen3moe, &tern_arch_qwen3vl, &tern_arch_qwen3vlmoe,
  &tern_arch_qwen35, &tern_arch_qwen35moe,
};

static gboolean
bytes_equal (TernBytes bytes, const char *text)
{
  return bytes.len == strlen (text) && !memcmp (bytes.data, text, bytes.len);
}

/* The family that runs @name, and its spelling of it. */
static const TernArch *
find_family (const TernGguf *file, const char **spelling, GError **error)
{
  g_autoptr (GString) known = g_string_new (NULL);
  g_autofree char *found = NULL;
  TernBytes name;

  if (tern_gguf_companion (file)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected a language model, found %s", tern_gguf_path (file),
        tern_gguf_companion (file));
    return NULL;
  }
  if (!tern_gguf_string (file, "general.architecture", &name, error))
    return NULL;
  found = tern_bytes_quote (name);

  for (guint i = 0; i < G_N_ELEMENTS (families); i++)
    for (const char *const *n = families[i]->names; *n; n++) {
      if (bytes_equal (name, *n)) {
        *spelling = *n;
        return families[i];
      }
      g_string_append_printf (known, "%s%s", known->len ? ", " : "", *n);
    }
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: key general.architecture: expected one of %s, found "
      "%s", tern_gguf_path (file), known->str, found);
  return NULL;
}

gboolean
tern_llm_check_kind (const TernGguf *file, GError **error)
{
  const char *spelling;

  return find_family (file, &spelling, error) != NULL;
}

static void
layer_clear (TernLayer *layer)
{
  tern_mem_free (layer->mixer_norm);
  tern_mem_free (layer->ffn_norm);
  tern_block_free (layer->mixer);
  tern_block_free (layer->ffn);
}

static void
llm_free (TernLlm *llm)
{
  for (guint i = 0; llm->layers && i < llm->info.n_layers; i++)
    layer_clear (&llm->layers[i]);
  g_free (llm->layers);
  tern_linear_clear (&llm->embedding);
  tern_linear_clear (&llm->output);
  tern_mem_free (llm->final_norm);
  tern_rope_clear (&llm->rope);
  g_free (llm->is_attention);
  g_free (llm->name);
  tern_packing_free (llm->packing);
  tern_rotations_free (llm->rotations);
  tern_policy_binding_free (llm->policy);
  tern_gguf_unref (llm->file);
  g_free (llm);
}

static void
rotate_linear (TernLinear *linear, void *data)
{
  TernLlm *llm = data;

  tern_rotations_bind (llm->rotations, linear, linear == tern_llm_head (llm));
}

/* Which matrices the file holds rotated. */
static gboolean
load_rotations (TernLlm *llm, GError **error)
{
  if (!tern_rotations_load (llm->file, &llm->rotations, error))
    return FALSE;
  if (!llm->rotations)
    return TRUE;
  tern_llm_each_linear (llm, rotate_linear, llm);
  return tern_rotations_check (llm->rotations, error);
}

static void
find_chunk (TernBlock *block, void *data)
{
  guint *chunk = data;

  if (block->klass->chunk)
    *chunk = MAX (*chunk, block->klass->chunk (block));
}

/* @rows before those that are asked about, and those that @block has to see before these. */
static guint
seen_before (const TernBlock *block, guint rows)
{
  guint more = !block ? 0 : block->klass->before ? block->klass->before (block) : G_MAXUINT;

  return more > G_MAXUINT - rows ? G_MAXUINT : rows + more;
}

/* Which rows matter where, from behind: of what is asked about one only its last row, and what the layers before it need for
 * that. */
static void
plan_needs (TernLlm *llm)
{
  guint rows = 0;

  for (guint i = llm->info.n_layers; i-- > 0;) {
    TernLayer *layer = &llm->layers[i];

    layer->needed_behind = rows = seen_before (layer->ffn, rows);
    layer->needed_before = rows = seen_before (layer->mixer, rows);
  }
}

/* Of all blocks' linears one after the other, until one fails. */
typedef struct {
  TernLlm *llm;
  TernPool *pool;
  gboolean (*func) (TernLlm *llm, TernLinear *linear, TernPool *pool, GError **error);
  GError *error;
} Checking;

static void
check_linear (TernLinear *linear, void *data)
{
  Checking *checking = data;

  if (!checking->error)
    checking->func (checking->llm, linear, checking->pool, &checking->error);
}

static void
check_block_linears (TernBlock *block, void *data)
{
  block->klass->linears (block, check_linear, data);
}

static gboolean
check_linears (Checking *checking, GError **error)
{
  tern_llm_each_block (checking->llm, check_block_linears, checking);
  if (!checking->error)
    return TRUE;
  g_propagate_error (error, checking->error);
  return FALSE;
}

static gboolean
bind_policy (TernLlm *llm, TernLinear *linear, TernPool *pool, GError **error)
{
  return tern_policy_bind (llm->policy, linear, error);
}

static gboolean
check_weights (TernLlm *llm, TernLinear *linear, TernPool *pool, GError **error)
{
  return tern_policy_check_weights (llm->policy, linear, pool, error);
}

static void
find_other_block (TernBlock *block, void *data)
{
  if (!block->klass->rounds)
    *(const TernBlock **) data = block;
}

/* How inputs are rounded, by what the file names or by what is forced on it. */
static gboolean
load_policy (TernLlm *llm, const TernActivationPolicy *forced, GError **error)
{
  Checking checking = { .llm = llm, .func = bind_policy };
  const TernBlock *other = NULL;

  llm->policy = tern_policy_binding_new (llm->file, forced, error);
  if (!llm->policy)
    return FALSE;
  llm->info.policy = *tern_policy_binding_policy (llm->policy);
  if (llm->info.policy.kind == TERN_POLICY_INT8)
    return TRUE;
  tern_llm_each_block (llm, find_other_block, &other);
  if (!other)
    return check_linears (&checking, error);
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: activations %s (key " TERN_POLICY_KEY ", or what was asked for): "
      "expected blocks of attention, short convolution and feed-forward, found one of %s", tern_gguf_path (llm->file),
      tern_policy_name (llm->info.policy.kind), other->klass->name);
  return FALSE;
}

static gboolean
llm_load (TernLlm *llm, const TernActivationPolicy *forced, GError **error)
{
  const TernArch *family;
  TernBytes name;
  guint32 parts;

  if (!tern_gguf_string_or (llm->file, "general.name", &name, error)
      || !tern_gguf_u32_or (llm->file, "split.count", 0, G_MAXUINT32, 1, &parts, error)
      || !(family = find_family (llm->file, &llm->info.architecture, error)))
    return FALSE;
  if (parts > 1) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: key split.count: expected one whole file, found a "
        "part of %u; join the parts first", tern_gguf_path (llm->file), parts);
    return FALSE;
  }
  llm->name = name.data ? g_utf8_make_valid (name.data, name.len) : g_strdup ("");
  llm->info.name = llm->name;
  if (!tern_decoder_load (llm, family, llm->info.architecture, error) || !load_rotations (llm, error))
    return FALSE;
  llm->info.chunk = 1;
  tern_llm_each_block (llm, find_chunk, &llm->info.chunk);
  plan_needs (llm);
  return load_policy (llm, forced, error);
}

static TernLlm *
plan (TernGguf *file, const TernKernels *kernels, const TernActivationPolicy *forced, GError **error)
{
  TernLlm *llm = g_new0 (TernLlm, 1);

  g_atomic_ref_count_init (&llm->ref_count);
  llm->file = tern_gguf_ref (file);
  llm->kernels = kernels;
  if (!llm_load (llm, forced, error)) {
    llm_free (llm);
    return NULL;
  }
  return llm;
}

TernLlm *
tern_llm_plan (TernGguf *file, const TernKernels *kernels, GError **error)
{
  return plan (file, kernels, NULL, error);
}

static void
collect_linear (TernLinear *linear, void *data)
{
  g_ptr_array_add (data, linear);
}

static gboolean
pack_linears (TernLlm *llm, TernPool *pool, GError **error)
{
  g_autoptr (GPtrArray) linears = g_ptr_array_new ();
  /* What is cached belongs to a file and to how it is packed. */
  g_autofree char *layout = g_strconcat (llm->kernels->ternary->name,
      tern_policy_binding_changes_weights (llm->policy) ? "-signs" : "", NULL);

  tern_llm_each_linear (llm, collect_linear, linears);
  llm->packing = tern_packing_new (llm->file, layout, (TernLinear **) linears->pdata, linears->len,
      pool, error);
  return llm->packing != NULL;
}

/* Where in a pass we are: the first linear of all, that of the latest run, and what belongs to the latest. */
typedef struct {
  TernLinear *first, *run;
  const TernLinear *beside;
} Turn;

static void
take_turn (TernLinear *linear, void *data)
{
  Turn *turn = data;

  if (linear != turn->beside) {
    if (turn->run)
      turn->run->next = linear;
    turn->run = linear;
    turn->first = turn->first ? turn->first : linear;
  }
  turn->beside = linear->beside;
}

static void
take_turns (TernBlock *block, void *data)
{
  Turn *turn = data;

  if (block->klass->in_turn)
    block->klass->linears (block, take_turn, turn);
  else
    *turn = (Turn) { turn->first };
}

/* What reads memory in a pass comes always in the same order: so each says what comes next. */
static void
link_linears (TernLlm *llm)
{
  TernLinear *head = (TernLinear *) tern_llm_head (llm);
  Turn turn = { 0 };

  tern_llm_each_block (llm, take_turns, &turn);
  take_turn (head, &turn);
  head->next = turn.first;
}

static void
find_float (TernLinear *linear, void *data)
{
  *(gboolean *) data |= linear->form != TERN_FORM_T2 && linear->form != TERN_FORM_T2S;
}

/* A function for every linear of every block. */
typedef struct {
  TernLinearFunc func;
  void *data;
} EachLinear;

static void
block_linears (TernBlock *block, void *data)
{
  const EachLinear *each = data;

  block->klass->linears (block, each->func, each->data);
}

static gboolean
has_float_layers (const TernLlm *llm)
{
  gboolean found = FALSE;
  EachLinear each = { find_float, &found };

  tern_llm_each_block (llm, block_linears, &each);
  return found;
}

TernLlm *
tern_llm_open (TernGguf *file, const TernKernels *kernels, TernPool *pool, GError **error)
{
  return tern_llm_open_forced (file, kernels, NULL, pool, error);
}

TernLlm *
tern_llm_open_forced (TernGguf *file, const TernKernels *kernels, const TernActivationPolicy *policy, TernPool *pool,
    GError **error)
{
  g_autoptr (TernLlm) llm = plan (file, kernels, policy, error);
  Checking checking = { .llm = llm, .pool = pool, .func = check_weights };

  if (!llm || !tern_gguf_check_end (file, error) || !check_linears (&checking, error) || !pack_linears (llm, pool, error))
    return NULL;
  llm->rounds = llm->bit_linear && llm->info.policy.kind == TERN_POLICY_INT8 && has_float_layers (llm);
  link_linears (llm);
  llm->usable = TRUE;
  return g_steal_pointer (&llm);
}

TernLlm *
tern_llm_ref (TernLlm *llm)
{
  g_atomic_ref_count_inc (&llm->ref_count);
  return llm;
}

void
tern_llm_unref (TernLlm *llm)
{
  if (llm && g_atomic_ref_count_dec (&llm->ref_count))
    llm_free (llm);
}

const TernKernels *
tern_llm_kernels (const TernLlm *llm)
{
  return llm->kernels;
}

const TernLlmInfo *
tern_llm_info (const TernLlm *llm)
{
  return &llm->info;
}

TernGguf *
tern_llm_file (const TernLlm *llm)
{
  return llm->file;
}

void
tern_llm_each_linear (const TernLlm *llm, TernLinearFunc func, void *data)
{
  EachLinear each = { func, data };

  func ((TernLinear *) &llm->embedding, data);
  if (!llm->tied)
    func ((TernLinear *) &llm->output, data);
  tern_llm_each_block (llm, block_linears, &each);
}

void
tern_llm_each_block (const TernLlm *llm, TernBlockFunc func, void *data)
{
  for (guint i = 0; i < llm->info.n_layers; i++) {
    if (llm->layers[i].mixer)
      func (llm->layers[i].mixer, data);
    if (llm->layers[i].ffn)
      func (llm->layers[i].ffn, data);
  }
}

void
tern_llm_embed (const TernLlm *llm, const gint32 *ids, guint n, float *rows, gsize ld)
{
  for (guint t = 0; t < n; t++) {
    tern_linear_row (&llm->embedding, (guint) ids[t], rows + t * ld);
    for (guint i = 0; llm->embedding_scale != 1 && i < llm->info.width; i++)
      rows[t * ld + i] *= llm->embedding_scale;
  }
}

static void
add_owned (TernLinear *linear, void *data)
{
  *(gsize *) data += tern_linear_owned (linear);
}

static void
add_repack (TernLinear *linear, void *data)
{
  TernLlmRepack *repack = data;
  gsize source = (gsize) linear->rows * tern_linear_row_bytes (linear);

  if (!tern_linear_owned (linear))
    return;
  repack->source += source;
  repack->largest = MAX (repack->largest, source);
  repack->packed += tern_linear_owned (linear);
}

TernLlmRepack
tern_llm_repack (const TernLlm *llm)
{
  TernLlmRepack repack = { 0 };

  tern_llm_each_linear (llm, add_repack, &repack);
  return repack;
}

static void
add_block_owned (TernBlock *block, void *data)
{
  *(gsize *) data += block->klass->owned ? block->klass->owned (block) : 0;
}

gsize
tern_llm_owned_bytes (const TernLlm *llm)
{
  gsize norms = 1, bytes;

  for (guint i = 0; i < llm->info.n_layers; i++)
    norms += (llm->layers[i].mixer_norm != NULL) + (llm->layers[i].ffn_norm != NULL);
  bytes = norms * llm->info.width * sizeof (float) + tern_rotations_bytes (llm->rotations);
  tern_llm_each_linear (llm, add_owned, &bytes);
  tern_llm_each_block (llm, add_block_owned, &bytes);
  return bytes;
}

gsize
tern_llm_unused_bytes (const TernLlm *llm)
{
  gsize bytes = 0;

  for (gsize i = 0; i < tern_gguf_n_tensors (llm->file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (llm->file, i);
    guint64 layer;

    if (tern_tensor_layer (tensor->name, &layer) && layer >= llm->info.n_layers)
      bytes += tensor->bytes;
  }
  return bytes;
}

static void
add_state (TernBlock *block, void *data)
{
  TernStatePart parts[TERN_STATE_PARTS];
  gsize *bytes = data, more = tern_state_bytes (parts, tern_block_state (block, parts));

  *bytes = more > G_MAXSSIZE - *bytes ? G_MAXSSIZE : *bytes + more;
}

gsize
tern_llm_state_bytes (const TernLlm *llm)
{
  gsize bytes = 0;

  tern_llm_each_block (llm, add_state, &bytes);
  return bytes;
}
