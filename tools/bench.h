/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of `tern bench` share: a figure is something that can be run again and again, and what it cannot do
 * without. */
#pragma once

#include "engine/base/threads.h"
#include "engine/decode/draft.h"
#include "engine/llm/llm.h"
#include "engine/weights/cost.h"
#include "tern/tern.h"
#include "tools/bench-machine.h"
#include "vision/vision.h"

G_BEGIN_DECLS

typedef struct _TernFigure TernFigure;

/* Median and spread of what the runs gave. */
typedef struct {
  double value, min, max;
} TernSpread;

struct _TernFigure {
  const char *name, *unit;      /* of the report */
  char *what;                   /* for people: "256 tokens" */
  /* One run. Sets @seconds, and whatever of @amount and @cost is not known before. */
  gboolean (*run) (TernFigure *self, GError **error);
  void (*clear) (TernFigure *self);     /* all but @what and @values; NULL: nothing */
  double amount;                /* what a run does, in the unit a second */
  double seconds;
  TernCost cost;                /* of a run */

  guint tokens, depth, sessions;        /* for the report; 0: says nothing */
  const TernFigure *single;     /* what @sessions together, or a draft, are compared with; NULL: nothing */
  gboolean drafts;              /* with a draft, which in a run on average guessed ... */
  double guesses, guesses_right;        /* ... so many tokens that were read, of these right; without any it is no comparison */

  GArray *values;               /* of double: amount a second, a run */
  double wall, cpu;             /* seconds of all runs by the clock, and of all threads on a core */
  TernSpread rate;
};

void tern_figure_free (TernFigure *figure);

/* What the figures are made for. */
typedef struct {
  const char *source;           /* path, or the shape's name: for messages */
  const TernKernels *kernels;
  TernPool *pool;
  guint threads;
  guint prefill, decode, depth, sessions;       /* 0: not wanted */
  TernKvType kv;                /* as asked for */
  TernActivationPolicy policy;  /* ... and of kind FILE: as the file says */
} TernBenchPlan;

/* ---- floors: bench-floor.c ---- */

typedef struct {
  TernFigure *memory;           /* read of much more than the caches hold */
  TernFigure *again;            /* read of as much as one token reads, again and again; NULL: that is as much */
  TernFigure *i8, *f32;         /* multiply-adds */
} TernProbes;

/* Adds the probes to @figures, which then own them. @bytes: of weights that a token reads, 0 without a model of tokens.
 * NO_SPACE. */
gboolean tern_probes_add (TernProbes *probes, GPtrArray *figures, const TernBenchPlan *plan, guint64 cache_bytes,
    double bytes, GError **error);

/* The rate that @figure could have at most, once all was measured; *@bound: "memory" or "arithmetic", what limits it. */
double tern_probes_floor (const TernProbes *probes, const TernFigure *figure, const char **bound);

/* ---- text: bench-text.c; vision and whole windows: bench-vision.c ---- */

/* Prefill, decode, and what else @plan asks for. INVALID: more tokens than the model was made for; NO_SPACE. */
gboolean tern_text_figures_add (GPtrArray *figures, const TernBenchPlan *plan, TernLlm *llm, TernKvType *kv,
    GError **error);
/* Bytes of weights that one token reads. */
double tern_text_token_bytes (const TernLlm *llm);

/* Decode by a generator without and with a draft, in turn: bench-draft.c. FAILED: what is said differs. */
gboolean tern_draft_figures_add (GPtrArray *figures, const TernBenchPlan *plan, TernLlm *llm, TernDraftModel *model,
    const TernTokenizer *tokenizer, GError **error);

gboolean tern_vision_figures_add (GPtrArray *figures, const TernBenchPlan *plan, TernVision *vision, GError **error);
/* A window of frames to a caption by the public interface. @model: with both parts, of which @llm and @vision count. */
gboolean tern_window_figure_add (GPtrArray *figures, TernModel *model, TernLlm *llm, TernVision *vision, GError **error);

/* ---- bench-report.c ---- */

typedef struct {
  const TernBenchPlan *plan;
  const TernMachine *machine;
  const TernProbes *probes;
  GPtrArray *figures;           /* of TernFigure *, probes among them */
  guint repeat;
  const TernGguf *file, *mmproj;        /* NULL: none */
  const TernLlm *llm;           /* NULL: none */
  TernKvType kv;
} TernBenchReport;

void tern_bench_print_json (const TernBenchReport *report);
void tern_bench_print_text (const TernBenchReport *report);

G_END_DECLS
