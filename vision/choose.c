/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which matrices of a tower run in int8. Files of which nothing is known beforehand decide it themselves: a small picture,
 * drawn here, goes through the float path once; what int8 makes of the input of each matrix is compared with what floats
 * did; and the whole in packed form must give the tokens that floats gave. What does not pass runs in bf16. */
#include "vision/packed.h"

#include <math.h>
#include <string.h>

#include "engine/base/mem.h"

/* Patches of a side of the picture. */
#define SIDE 8

/* Squares of errors to squares of what a matrix puts out. Without outliers int8 comes to some 2e-4; an activation of which
 * the largest is 30 times the usual, instead of 4 times, to a hundred times that. */
#define LIMIT_ROW 4e-4          /* with one scale a row */
#define LIMIT_GROUP 1e-3        /* with one for 128 columns */

/* One less the cosine of tokens to those of floats. Photographs come to 1e-3 at most, and to .5 to a third of what this
 * picture does, which is of few patches and like none that towers were trained with. */
#define LIMIT_TOKENS 7e-4

typedef struct {
  TernPacked *packed;
  guint set;
  double error[2];              /* with a scale a row, with one for each group */
  double power;                 /* of the output in floats */
  gboolean grouped;             /* no choice */
} Candidate;

typedef struct {
  TernVision *vision;
  TernVisionPacked *packed;
  TernPool *pool;
  GArray *candidates;           /* of Candidate, in the order of tern_vision_matrix() */
  float *expected, *found;      /* tokens */
  gsize n_values;
  void *room;                   /* for inputs and outputs of a product */
  gsize room_bytes;
  GError **error;
} Choice;

/* ---- The picture ------------------------------------------------------------------------------------------------- */

/* A number of 0 to 255 for a point of a lattice. */
static guint
lattice (guint x, guint y, guint seed)
{
  guint32 h = (x * 0x9e3779b1u ^ y * 0x85ebca6bu ^ seed * 0xc2b2ae35u) * 0x27d4eb2fu;

  h ^= h >> 15;
  return h * 0x2c1b3c6du >> 24;
}

/* The same in between, the lattice being @cell pixels wide. */
static guint
smooth (guint x, guint y, guint cell, guint seed)
{
  guint cx = x / cell, cy = y / cell, fx = x % cell, fy = y % cell;
  guint above = lattice (cx, cy, seed) * (cell - fx) + lattice (cx + 1, cy, seed) * fx;
  guint below = lattice (cx, cy + 1, seed) * (cell - fx) + lattice (cx + 1, cy + 1, seed) * fx;

  return (above * (cell - fy) + below * fy) / (cell * cell);
}

/* Like a photograph in what counts: shapes of all sizes, the finer the fainter, the same in all colours but for a tint that
 * changes slowly; a disc with a sharp edge; and a part that is nearly flat. */
static guint8
draw (guint side, guint x, guint y, guint c)
{
  guint half = side / 2, cell = MAX (half, 1), weight = 32, seed = 1, of = 0, value = 0;
  gint dx = (gint) x - (gint) (side * 5 / 8), dy = (gint) y - (gint) (side * 5 / 8);

  for (; weight > 0 && cell > 0; cell /= 2, weight /= 2, seed++) {
    value += smooth (x, y, cell, seed) * weight;
    of += weight;
  }
  value = value / of * 3 / 4 + smooth (x, y, MAX (half, 1), 20 + c) / 4;
  if (dx * dx + dy * dy < (gint) (side * side) / 16)
    value = (value / 4 + 180 - 50 * c);
  if (y < side / 4)
    value = 200 + value / 16;
  return (guint8) MIN (value, 255);
}

static void
draw_picture (TernVisionState *state)
{
  guint side = SIDE * state->vision->info.patch, x, y, c;

  state->width = state->height = side;
  state->grid_w = state->grid_h = SIDE;
  state->n = SIDE * SIDE;
  for (c = 0; c < 3; c++)
    for (y = 0; y < side; y++)
      for (x = 0; x < side; x++)
        state->rgb[c][(gsize) y * side + x] = draw (side, x, y, c);
}

static guint
count_tokens (const TernVision *vision)
{
  guint side = (SIDE + vision->info.factor - 1) / vision->info.factor;

  return side * side;
}

/* ---- A matrix ---------------------------------------------------------------------------------------------------- */

static gboolean
make_room (Choice *choice, gsize bytes)
{
  if (bytes <= choice->room_bytes)
    return TRUE;
  tern_mem_free (choice->room);
  choice->room = tern_mem_alloc (bytes, "calibration of the vision encoder", choice->error);
  choice->room_bytes = choice->room ? bytes : 0;
  return choice->room != NULL;
}

typedef struct {
  const TernPacked *packed;
  const TernPackedInput *input;
  float *y;
  guint n;
} Product;

static void
multiply (void *data, guint begin, guint end, guint worker)
{
  const Product *p = data;
  guint first = begin * TERN_PANEL_ROWS, last = MIN (end * TERN_PANEL_ROWS, p->packed->rows);

  tern_packed_product (p->packed, p->input, p->n, first, last, NULL, p->y + first, p->packed->rows);
}

/* The squares of what the packed form of a matrix makes wrong of @x, its output in floats being at @y. */
static double
measure (Choice *choice, const TernPacked *packed, const TernLinearInput *x, const float *y, gsize ldy, const float *bias,
    double *power)
{
  TernArena count = { 0 }, arena;
  TernPackedInput input;
  double wrong = 0, sum = 0;
  float *own;
  guint t, r;

  tern_packed_input_init (&input, packed, x->n, &count);
  tern_arena_take (&count, (gsize) x->n * packed->rows * sizeof (float));
  if (!make_room (choice, count.used))
    return NAN;
  arena = (TernArena) { .base = choice->room };
  tern_packed_input_init (&input, packed, x->n, &arena);
  own = tern_arena_take (&arena, (gsize) x->n * packed->rows * sizeof (float));
  for (t = 0; t < x->n; t++)
    tern_packed_input_set (&input, t, x->x + t * x->ldx, 0, x->cols);
  tern_pool_run (choice->pool, multiply, &(Product) { packed, &input, own, x->n }, (guint) tern_panels (packed->rows), 1);
  for (t = 0; t < x->n; t++)
    for (r = 0; r < packed->rows; r++) {
      double value = y[t * ldy + r] - (bias ? bias[r] : 0), d = own[(gsize) t * packed->rows + r] - value;

      wrong += d * d;
      sum += value * value;
    }
  *power = sum;
  return wrong;
}

/* The product of a loop that has run. */
static void
compare (void *data, const TernVisionLoop *loop)
{
  Choice *choice = data;
  TernVisionMatrix matrix;
  guint i;

  for (i = 0; i < choice->candidates->len && tern_vision_matrix (choice->vision, choice->packed, i, &matrix); i++) {
    Candidate *candidate = &g_array_index (choice->candidates, Candidate, i);
    const float *y = loop->product.y + matrix.first;
    const float *bias = loop->product.bias ? loop->product.bias + matrix.first : NULL;
    TernPacked packed = *matrix.packed;
    double power = 0;

    if (matrix.linear != loop->product.linear || packed.type != TERN_PACKED_I8)
      continue;
    packed.group = TERN_PACKED_GROUP;
    candidate->error[1] += measure (choice, &packed, &loop->input, y, loop->ldy, bias, &power);
    candidate->power += power;
    packed.group = matrix.packed->group;
    candidate->error[0] += candidate->grouped ? INFINITY
        : measure (choice, &packed, &loop->input, y, loop->ldy, bias, &power);
  }
}

/* ---- The tower --------------------------------------------------------------------------------------------------- */

gsize
tern_vision_tried_values (const TernVision *vision)
{
  return (gsize) count_tokens (vision) * vision->info.row_dim;
}

/* All stages at once. */
gboolean
tern_vision_try (TernVision *vision, const TernVisionPacked *packed, TernPool *pool, TernVisionProductFunc func, void *data,
    float *tokens, GError **error)
{
  g_autoptr (TernVisionState) state = tern_vision_state_make (vision, count_tokens (vision), packed, pool, error);
  TernVisionStage stage;
  guint i, round;

  if (!state)
    return FALSE;
  draw_picture (state);
  state->tokens = tokens;
  for (i = 0; (stage = tern_vision_stage (state, i)); i++)
    for (round = 0; stage (state, round, &state->loop); round++) {
      tern_pool_run (pool, state->loop.func, state, state->loop.items, state->loop.grain);
      if (func && state->loop.product.linear)
        func (data, &state->loop);
    }
  return TRUE;
}

/* @floats: each product is compared. */
static gboolean
encode (Choice *choice, gboolean floats, float *tokens)
{
  return tern_vision_try (choice->vision, floats ? NULL : choice->packed, choice->pool, floats ? compare : NULL, choice, tokens,
      choice->error);
}

/* One less the cosine of part @part of all rows: the tokens, or one of what stands behind them. NaN where one is not finite. */
static double
distance (const Choice *choice, guint part)
{
  const TernVisionInfo *info = &choice->vision->info;
  double ab = 0, aa = 0, bb = 0;

  for (gsize row = part * info->embedding_dim; row < choice->n_values; row += info->row_dim)
    for (gsize i = row; i < row + info->embedding_dim; i++) {
      double a = choice->expected[i], b = choice->found[i];

      ab += a * b;
      aa += a * a;
      bb += b * b;
    }
  return aa == bb && aa == ab ? 0 : 1 - ab / sqrt (aa * bb);
}

static gboolean
tokens_are_right (const Choice *choice)
{
  gboolean right = TRUE;

  for (guint part = 0; part <= choice->vision->info.deepstack; part++)
    right &= distance (choice, part) <= LIMIT_TOKENS;
  return right;
}

static gboolean
pack (Choice *choice, guint i, TernPackedType type, guint group)
{
  TernVisionMatrix matrix;

  tern_vision_matrix (choice->vision, choice->packed, i, &matrix);
  if (matrix.packed->type == type) {
    matrix.packed->group = group ? group : matrix.packed->group;
    return TRUE;
  }
  tern_packed_clear (matrix.packed);
  return tern_packed_init (matrix.packed, matrix.linear, matrix.first, matrix.rows, type, group, choice->pool, choice->error);
}

static Candidate *
candidate_at (const Choice *choice, guint i)
{
  return &g_array_index (choice->candidates, Candidate, i);
}

/* All that may be int8 is so at first. */
static gboolean
pack_all (Choice *choice)
{
  TernVisionMatrix matrix;
  guint i;

  for (i = 0; tern_vision_matrix (choice->vision, choice->packed, i, &matrix); i++) {
    gboolean down = FALSE;
    Candidate candidate = { .packed = matrix.packed, .set = matrix.set };

    for (guint b = 0; b < choice->vision->n_blocks; b++)
      down |= matrix.packed == &choice->packed->blocks[b].down;
    candidate.grouped = down;   /* its input is quantised before all of it is there */
    g_array_append_val (choice->candidates, candidate);
    if (!pack (choice, i, tern_packed_fits_i8 (matrix.linear->cols) ? TERN_PACKED_I8 : TERN_PACKED_BF16, 0))
      return FALSE;
  }
  return TRUE;
}

/* The worst of a set, of its outputs' power; @k as in Candidate. */
static double
error_of_set (const Choice *choice, guint set, guint k)
{
  double worst = 0;
  guint i;

  for (i = 0; i < choice->candidates->len; i++) {
    const Candidate *c = candidate_at (choice, i);
    double error = c->power > 0 || c->error[k] > 0 ? c->error[k] / c->power : 0;

    if (c->set == set && !(error <= worst))
      worst = isnan (error) ? INFINITY : error;
  }
  return worst;
}

static gboolean
choose_forms (Choice *choice)
{
  guint i;

  for (i = 0; i < choice->candidates->len; i++) {
    Candidate *c = candidate_at (choice, i);
    gboolean is_i8 = c->packed->type == TERN_PACKED_I8;

    if (is_i8 && error_of_set (choice, c->set, 0) <= LIMIT_ROW)
      continue;
    if (!pack (choice, i, is_i8 && error_of_set (choice, c->set, 1) <= LIMIT_GROUP ? TERN_PACKED_I8 : TERN_PACKED_BF16,
            TERN_PACKED_GROUP))
      return FALSE;
  }
  return TRUE;
}

/* What goes to bf16 together, in the order in which that helps the most for the work it costs (docs/numbers.md): what comes
 * first of all, whose noise goes through everything; the MLP's second product, whose input is half of it near zero; its
 * first; the rest. */
static gboolean
is_given_up (const Choice *choice, guint i, guint step)
{
  const TernVisionPacked *packed = choice->packed;
  const TernPacked *matrix = candidate_at (choice, i)->packed;
  guint block;

  if (step >= 4 || (step >= 1 && i <= TERN_VISION_BLOCK_MATRICES))
    return TRUE;
  for (block = 0; block < choice->vision->n_blocks; block++)
    if ((step >= 2 && matrix == &packed->blocks[block].down) || (step >= 3 && matrix == &packed->blocks[block].up))
      return TRUE;
  return FALSE;
}

/* Until the tokens are right: first of all without int8 in attention, which is the least of the work. */
static gboolean
check_tokens (Choice *choice)
{
  guint step, i;

  for (step = 0; step <= 4; step++) {
    if (!encode (choice, FALSE, choice->found))
      return FALSE;
    if (tokens_are_right (choice))
      return TRUE;
    choice->packed->int8_attention = FALSE;
    for (i = 0; i < choice->candidates->len; i++)
      if (is_given_up (choice, i, step) && !pack (choice, i, TERN_PACKED_BF16, TERN_PACKED_GROUP))
        return FALSE;
  }
  return TRUE;
}

TernVisionPacked *
tern_vision_choose (TernVision *vision, TernPool *pool, GError **error)
{
  TernVisionPacked *packed = g_new0 (TernVisionPacked, 1);
  Choice choice = { .vision = vision, .packed = packed, .pool = pool, .error = error };
  gboolean ok;

  packed->blocks = g_new0 (TernVitPacked, vision->n_blocks);
  packed->int8_attention = TRUE;
  choice.candidates = g_array_new (FALSE, FALSE, sizeof (Candidate));
  choice.n_values = tern_vision_tried_values (vision);
  choice.expected = g_new0 (float, choice.n_values);
  choice.found = g_new0 (float, choice.n_values);
  ok = pack_all (&choice) && encode (&choice, TRUE, choice.expected) && choose_forms (&choice) && check_tokens (&choice);
  g_free (choice.expected);
  g_free (choice.found);
  g_array_unref (choice.candidates);
  tern_mem_free (choice.room);
  if (ok)
    return packed;
  tern_vision_packed_free (packed, vision->n_blocks);
  return NULL;
}
