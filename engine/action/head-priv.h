/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of heads: what the kinds share. */
#pragma once

#include "engine/action/head.h"
#include "engine/base/mem.h"
#include "engine/weights/gguf.h"

/* ---- Layers: y = W x + b ---- */

typedef struct {
  guint in, out;
  float *weight, *bias;         /* [out][in], [out]; owned */
} TernActionLayer;

/* Tensors @name.weight and @name.bias. FORMAT also for numbers that are not finite. */
gboolean tern_action_layer_load (TernActionLayer *layer, const TernGguf *file, const char *name, guint in, guint out,
    GError **error);
void tern_action_layer_clear (TernActionLayer *layer);
void tern_action_layer_run (const TernActionLayer *layer, const TernKernels *kernels, const float *x, float *y);
/* Tensor @name of [n] finite numbers; free with tern_mem_free(). */
float *tern_action_vector_load (const TernGguf *file, const char *name, guint n, GError **error);

typedef enum {
  TERN_ACTION_RELU,
  TERN_ACTION_GELU,             /* with erf */
  TERN_ACTION_SILU,
  TERN_ACTION_TANH,
  TERN_ACTION_LECUN_TANH,       /* 1.7159 tanh (0.666 x) */
} TernActionActivation;

extern const char *const tern_action_activations[];     /* names, NULL after them */
void tern_action_activate (TernActionActivation activation, float *x, guint n);

/* ---- Keys ---- */

/* One of @names (NULL after them), whose index is the value; a missing key is @fallback, or with -1 an error. */
gboolean tern_action_key_choice (const TernGguf *file, const char *key, const char *const *names, int fallback,
    guint *out, GError **error);
/* As many finite floats as there are, at most @most, to @out; a missing key has none. */
gboolean tern_action_key_floats_up_to (const TernGguf *file, const char *key, guint most, float *out, guint *n,
    GError **error);
/* @n finite floats to @out. */
gboolean tern_action_key_floats (const TernGguf *file, const char *key, guint n, float *out, GError **error);
/* As many integers of any width as there are, at most @most, to @out; a missing key has none. */
gboolean tern_action_key_integers (const TernGguf *file, const char *key, guint32 min, guint32 max, guint most,
    guint32 *out, guint *n, GError **error);
/* UTF-8 without control characters, kept in @strings; a missing key is @fallback, or with NULL an error. */
gboolean tern_action_key_text (const TernGguf *file, const char *key, const char *fallback, GStringChunk *strings,
    const char **out, GError **error);
/* @n of them to @out, none empty unless @may_be_empty. */
gboolean tern_action_key_texts (const TernGguf *file, const char *key, guint n, gboolean may_be_empty,
    GStringChunk *strings, const char **out, GError **error);

/* ---- The head ---- */

/* raw = offset + scale * normalised, of each number. */
typedef struct {
  float *offset, *scale;        /* [n]; scale is not 0 */
} TernActionScaling;

typedef struct _TernActionClass TernActionClass;

#define TERN_ACTION_LAYERS 16   /* at most, of an MLP or backbone */

typedef struct {
  TernActionActivation activation;
  guint n_layers, n_times;      /* numbers that tell the time */
  TernActionLayer layers[TERN_ACTION_LAYERS];
  TernActionLayer skip;         /* without weight: there is none */
} TernActionMlp;

typedef enum {
  TERN_CFC_DEFAULT,
  TERN_CFC_NO_GATE,
  TERN_CFC_PURE,
} TernCfcMode;

typedef struct {
  TernCfcMode mode;
  TernActionActivation activation;
  guint units, n_backbone;
  TernActionLayer backbone[TERN_ACTION_LAYERS];
  TernActionLayer ff1, ff2, time_a, time_b, output;     /* pure: ff1 and output alone */
  float *a, *w_tau;             /* [units] of pure */
} TernActionCfc;

typedef struct {
  guint bins;
  guint id_rows, value_rows;    /* 1: the same for all numbers of a step; else dims */
  guint32 *ids;                 /* [id_rows][bins] */
  float *values;                /* [value_rows][bins] before scaling */
} TernActionTokens;

struct _TernActionHead {
  gint refs;                    /* atomic */
  const TernKernels *kernels;
  const TernActionClass *klass;
  char *path;
  TernActionInfo info;
  GStringChunk *strings;
  GPtrArray *blocks;            /* of numbers and pointers that are the head's */
  TernActionScaling state, action;
  float first, limit;           /* seconds: of a first decision, that begin anew */
  union {
    TernActionMlp mlp;
    TernActionCfc cfc;
    TernActionTokens tokens;
  } kind;
};

/* A kind of head. @input: hidden state, state, and `extra` numbers that are its own: they stay from decision to
 * decision, and are 0 at a first one. */
struct _TernActionClass {
  const char *name;             /* as the file spells it */
  gboolean (*load) (TernActionHead *head, const TernGguf *file, GError **error);
  void (*clear) (TernActionHead *head);
  guint (*extra) (const TernActionHead *head);
  guint (*work) (const TernActionHead *head);   /* floats */
  void (*run) (const TernActionHead *head, float *input, float *work, double seconds, float *y);
};

extern const TernActionClass tern_action_mlp, tern_action_cfc, tern_action_tokens;

/* Numbers of the hidden state and the states. */
static inline guint
tern_action_seen (const TernActionHead *head)
{
  return head->info.width + tern_action_info_states (&head->info);
}

static inline guint
tern_action_outputs (const TernActionHead *head)
{
  return head->info.steps * head->info.dims;
}

/* Number @i of a chunk, in its unit and range, of what it is before scaling. */
double tern_action_scaled (const TernActionHead *head, guint i, float value);

/* Everything but what is the kind's. */
gboolean tern_action_space_load (TernActionHead *head, const TernGguf *file, GError **error);

/* h after @seconds, of raw outputs @f1, @f2, @a and @b (of pure: only @f1, with the parameters @tau and @asymptote). */
void tern_cfc_step (float *h, const float *f1, const float *f2, const float *a, const float *b, float seconds,
    gboolean gated, guint n);
void tern_cfc_step_pure (float *h, const float *f1, const float *tau, const float *asymptote, float seconds, guint n);
