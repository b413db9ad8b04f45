/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Qwen3.5, dense and with experts: three layers of Gated DeltaNet (arXiv:2412.06464) to one of gated attention, whose
 * heads turn by a part of their values and, for rows of pictures, by three axes. Files say which layers attend by a
 * list, or by every how many. Norms are stored as they multiply. A head that guesses further tokens stands behind the
 * layers and is not run.
 *
 * Experts (qwen35moe) are chosen and weighed by a softmax over all of them, the weights of those chosen sum to 1; beside them one
 * that every row goes through, which counts sigmoid (vector . x) times. */
#include "engine/llm/arch/experts.h"
#include "engine/llm/arch/rows.h"

#define MAX_INNER (1u << 24)    /* features inside a block */
#define MAX_EXPERT (1u << 20)   /* of one expert */
#define MAX_HEADS (1u << 16)
#define INTERVAL 4              /* a file without the key: every fourth layer attends */

/* All but the feed-forward. */
#define TENSORS \
  TERN_ROWS_ENDS, \
  { "blk.N.post_attention_norm.weight", { TERN_D }, .also = "blk.N.ffn_norm.weight" }, \
  /* attention: a head's gate behind its query */ \
  { "blk.N.attn_q.weight", { TERN_D, TERN_Q2 } }, \
  { "blk.N.attn_k.weight", { TERN_D, TERN_KV } }, \
  { "blk.N.attn_v.weight", { TERN_D, TERN_KV } }, \
  { "blk.N.attn_q_norm.weight", { TERN_H } }, \
  { "blk.N.attn_k_norm.weight", { TERN_H } }, \
  { "blk.N.attn_output.weight", { TERN_Q, TERN_D } }, \
  /* DeltaNet */ \
  { "blk.N.attn_qkv.weight", { TERN_D, TERN_SC } }, \
  { "blk.N.attn_gate.weight", { TERN_D, TERN_SV } }, \
  { "blk.N.ssm_alpha.weight", { TERN_D, TERN_SH } }, \
  { "blk.N.ssm_beta.weight", { TERN_D, TERN_SH } }, \
  { "blk.N.ssm_conv1d.weight", { TERN_TAPS, TERN_SC } }, \
  { "blk.N.ssm_dt.bias", { TERN_SH } }, \
  { "blk.N.ssm_a", { TERN_SH } }, \
  { "blk.N.ssm_norm.weight", { TERN_SW } }, \
  { "blk.N.ssm_out.weight", { TERN_SV, TERN_D } }

static const TernTensorRow tensors[] = {
  TENSORS,
  TERN_ROWS_GATED_FFN,
  { NULL }
};

static const TernTensorRow moe_tensors[] = {
  TENSORS,
  TERN_ROWS_EXPERTS,
  { "blk.N.ffn_gate_inp_shexp.weight", { TERN_D } },
  TERN_ROWS_SHARED_EXPERT,
  { NULL }
};

/* Layers that do not attend have no key and value heads. */
static gboolean
read_layers (TernDecoder *d, GError **error)
{
  TernDecoderParams *p = &d->params;
  const TernGguf *file = d->source.file;
  char key[TERN_KEY_SIZE];
  TernGgufArray recurrent;
  guint32 interval;

  if (!tern_gguf_u32_or (file, tern_arch_key (key, d->architecture, "full_attention_interval"), 1, G_MAXUINT32, INTERVAL,
          &interval, error)
      || !tern_gguf_array (file, tern_arch_key (key, d->architecture, "attention.recurrent_layers"), TERN_GGUF_BOOL, FALSE,
          &recurrent, error))
    return FALSE;
  if (tern_gguf_has (file, key) && recurrent.count != p->n_layers && recurrent.count != p->n_layers + p->n_extra)
    return tern_gguf_bad_key (file, key, error, "expected one value for each of %u layers, found %" G_GUINT64_FORMAT,
        p->n_layers, recurrent.count);
  for (guint i = 0; i < p->n_layers; i++)
    if (recurrent.count ? recurrent.data[i] : (i + 1) % interval != 0)
      p->kv_heads[i] = 0;
  return TRUE;
}

/* Heads of DeltaNet; how wide they are together, twice. */
static gboolean
read_delta (TernDecoder *d, GError **error)
{
  TernGatedDeltaParams *p = &d->delta;
  const TernGguf *file = d->source.file;
  char key[TERN_KEY_SIZE];
  guint32 inner;

  *p = (TernGatedDeltaParams) { .width = d->params.width, .eps = d->params.eps };
  if (!tern_gguf_u32 (file, tern_arch_key (key, d->architecture, "ssm.conv_kernel"), 1, MAX_HEADS, &p->taps, error)
      || !tern_gguf_u32 (file, tern_arch_key (key, d->architecture, "ssm.state_size"), 1, MAX_HEADS, &p->head_dim, error)
      || !tern_gguf_u32 (file, tern_arch_key (key, d->architecture, "ssm.time_step_rank"), 1, MAX_HEADS, &p->value_heads,
          error)
      || !tern_gguf_u32 (file, tern_arch_key (key, d->architecture, "ssm.group_count"), 1, p->value_heads, &p->key_heads,
          error))
    return FALSE;
  if (p->value_heads % p->key_heads)
    return tern_gguf_bad_key (file, key, error, "expected a divisor of the %u value heads (ssm.time_step_rank), found %u",
        p->value_heads, p->key_heads);
  if (!tern_gguf_u32 (file, tern_arch_key (key, d->architecture, "ssm.inner_size"), 1, MAX_INNER, &inner, error))
    return FALSE;
  if (inner != (guint64) p->value_heads * p->head_dim)
    return tern_gguf_bad_key (file, key, error, "expected the %u values (ssm.state_size) of %u heads (ssm.time_step_rank), found "
        "%u", p->head_dim, p->value_heads, inner);
  return TRUE;
}

static gboolean
qwen35_keys (TernDecoder *d, GError **error)
{
  guint64 *dims = d->source.dims;

  if (!read_layers (d, error) || !read_delta (d, error) || !tern_decoder_sections (d, error))
    return FALSE;
  dims[TERN_TAPS] = d->delta.taps;
  dims[TERN_SW] = d->delta.head_dim;
  dims[TERN_SH] = d->delta.value_heads;
  dims[TERN_SV] = (guint64) d->delta.value_heads * d->delta.head_dim;
  dims[TERN_SC] = dims[TERN_SV] + 2 * (guint64) d->delta.key_heads * d->delta.head_dim;
  return TRUE;
}

static TernBlock *
qwen35_mixer (const TernDecoder *d, GError **error)
{
  if (d->params.kv_heads[d->source.layer])
    return tern_decoder_attention (d, error);
  return tern_gated_delta_new (&d->source, &d->delta, error);
}

static gboolean
qwen35_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  return (layer->mixer = qwen35_mixer (d, error)) && (layer->ffn = tern_decoder_ffn (d, TERN_GATE_SILU, error));
}

static gboolean
qwen35moe_keys (TernDecoder *d, GError **error)
{
  const TernGguf *file = d->source.file;
  char key[TERN_KEY_SIZE];
  guint32 shared;

  d->moe = (TernMoeParams) { .router = TERN_ROUTER_SOFTMAX, .gate = TERN_GATE_SILU, .normalise = TRUE };
  if (!qwen35_keys (d, error) || !tern_decoder_experts (d, error)
      || !tern_gguf_u32 (file, tern_arch_key (key, d->architecture, "expert_feed_forward_length"), 1, MAX_EXPERT,
          &d->moe.inner, error)
      || !tern_gguf_u32 (file, tern_arch_key (key, d->architecture, "expert_shared_feed_forward_length"), 1, MAX_EXPERT,
          &shared, error))
    return FALSE;
  d->source.dims[TERN_FS] = shared;
  return TRUE;
}

static gboolean
qwen35moe_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  return (layer->mixer = qwen35_mixer (d, error)) && (layer->ffn = tern_decoder_moe (d, d->moe.inner, error));
}

static const char *const names[] = { "qwen35", NULL };
static const char *const moe_names[] = { "qwen35moe", NULL };

const TernArch tern_arch_qwen35 = {
  .names = names,
  .tensors = tensors,
  .gated_attention = TRUE,
  .keys = qwen35_keys,
  .layer = qwen35_layer,
};

const TernArch tern_arch_qwen35moe = {
  .names = moe_names,
  .tensors = moe_tensors,
  .gated_attention = TRUE,
  .experts_alone = TRUE,
  .keys = qwen35moe_keys,
  .layer = qwen35moe_layer,
};
