/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* STTM: J. Hyun et al., "Multi-Granular Spatio-Temporal Token Merging for Training-Free Acceleration of Video LLMs",
 * arXiv:2507.07990, section 3; read beside HYUNJS/STTM @ 00736c7.
 *
 * Each frame is a quadtree, a node the mean of its (up to four) children. From the root on a node stands for what is under it
 * when all its children have a cosine of tau_s or more with it; else its children are looked at. Nodes of neighbouring frames
 * of which one lies within the other are one when their cosine is tau_t or more (union-find). What is one becomes the mean of
 * its nodes, and stands at the earliest of them, at its upper left token.
 *
 * The paper gives pairs of thresholds for its budgets, from (.80, .50) to (.95, .65): tau_t is tau_s - .3. Here tau_s is found
 * by bisection, the highest with which the group is within its budget; what is left of that is not filled. The paper merges
 * after two layers of the language model, here visual tokens are merged before the first. */
#include "compress/share.h"

#include <string.h>

#include "compress/similar.h"

#define LEVELS 14               /* of grids of up to 8192 columns or rows */
#define APART 0.3
#define HIGHEST (1.1 + APART)   /* nothing is alike */
#define LOWEST -1.1             /* all that has numbers is */
#define STEPS 14

/* Nodes of a frame: at most twice its tokens, and one a level. */
#define NODES(n) (2 * (gsize) (n) + LEVELS)

typedef struct {
  const TernTokenGroup *group;
  guint levels, columns[LEVELS], rows[LEVELS], at[LEVELS], nodes;      /* of a frame */
  float *row;                   /* [4][nodes][dim] */
  float *least;                 /* [4][nodes] lowest cosine of a child */
  guint *owner;                 /* [4][n] node that stands for a token */
  guint *set;                   /* [4][nodes] union-find: a node's parent, the earliest is the root; G_MAXUINT: not used */
} Forest;

static gsize
sttm_scratch (guint n_tokens, guint dim)
{
  return TERN_COMPRESS_GROUP * (NODES (n_tokens) * (((gsize) dim + 1) * sizeof (float) + sizeof (guint))
      + n_tokens * sizeof (guint));
}

static float *
node_row (const Forest *self, guint f, guint node)
{
  return self->row + ((gsize) f * self->nodes + node) * self->group->dim;
}

static guint
node_at (const Forest *self, guint level, guint x, guint y)
{
  return self->at[level] + y * self->columns[level] + x;
}

/* Calls for the children of a node at level 1 and up: their number to @child. */
static guint
children (const Forest *self, guint level, guint x, guint y, guint *child)
{
  guint n = 0;

  for (guint v = 2 * y; v < MIN (2 * y + 2, self->rows[level - 1]); v++)
    for (guint u = 2 * x; u < MIN (2 * x + 2, self->columns[level - 1]); u++)
      child[n++] = node_at (self, level - 1, u, v);
  return n;
}

static void
make_node (Forest *self, guint f, guint level, guint x, guint y)
{
  guint child[4], n = children (self, level, x, y, child), node = node_at (self, level, x, y), dim = self->group->dim;
  float *row = node_row (self, f, node), *least = self->least + (gsize) f * self->nodes + node;

  for (guint d = 0; d < dim; d++) {
    double sum = 0;

    for (guint c = 0; c < n; c++)
      sum += node_row (self, f, child[c])[d];
    row[d] = (float) (sum / n);
  }
  *least = 1;
  for (guint c = 0; c < n; c++) {
    double like = tern_cosine (node_row (self, f, child[c]), row, tern_main (self->group));

    *least = like >= *least ? *least : like == like ? (float) like : -2;
  }
}

static void
grow (Forest *self)
{
  guint n = self->group->n_tokens;

  for (guint f = 0; f < self->group->n_frames; f++) {
    memcpy (node_row (self, f, 0), tern_frame (self->group, f), (gsize) n * self->group->dim * sizeof (float));
    for (guint level = 1; level < self->levels; level++)
      for (guint y = 0; y < self->rows[level]; y++)
        for (guint x = 0; x < self->columns[level]; x++)
          make_node (self, f, level, x, y);
  }
}

static void
plant (Forest *self, const TernTokenGroup *group, void *scratch)
{
  guint columns, rows;

  tern_compress_grid (group, &columns, &rows);
  self->group = group;
  for (self->levels = 0; self->levels < LEVELS; self->levels++) {
    guint level = self->levels;

    self->columns[level] = columns;
    self->rows[level] = rows;
    self->at[level] = self->nodes;
    self->nodes += columns * rows;
    if (columns * rows <= 1) {
      self->levels++;
      break;
    }
    columns = (columns + 1) / 2;
    rows = (rows + 1) / 2;
  }
  g_assert (self->nodes <= NODES (group->n_tokens));
  self->row = scratch;
  self->least = self->row + (gsize) group->n_frames * self->nodes * group->dim;
  self->owner = (guint *) (self->least + (gsize) group->n_frames * self->nodes);
  self->set = self->owner + (gsize) group->n_frames * group->n_tokens;
  grow (self);
}

/* The node stands for its tokens, or its children do. */
static void
choose_nodes (Forest *self, guint f, guint level, guint x, guint y, double alike)
{
  guint node = node_at (self, level, x, y), side = 1u << level, columns = self->columns[0];

  if (level > 0 && !(self->least[(gsize) f * self->nodes + node] >= alike)) {
    for (guint v = 2 * y; v < MIN (2 * y + 2, self->rows[level - 1]); v++)
      for (guint u = 2 * x; u < MIN (2 * x + 2, self->columns[level - 1]); u++)
        choose_nodes (self, f, level - 1, u, v, alike);
    return;
  }
  self->set[(gsize) f * self->nodes + node] = (guint) ((gsize) f * self->nodes + node);
  for (guint v = y * side; v < MIN ((y + 1) * side, self->rows[0]); v++)
    for (guint u = x * side; u < MIN ((x + 1) * side, columns); u++)
      self->owner[(gsize) f * self->group->n_tokens + v * columns + u] = node;
}

static guint
level_of (const Forest *self, guint node)
{
  guint level = self->levels - 1;

  while (node < self->at[level])
    level--;
  return level;
}

static guint
upper_left (const Forest *self, guint node)
{
  guint level = level_of (self, node), place = node - self->at[level];

  return ((place / self->columns[level]) << level) * self->columns[0] + ((place % self->columns[level]) << level);
}

static guint
root_of (Forest *self, guint at)
{
  while (self->set[at] != at)
    at = self->set[at] = self->set[self->set[at]];
  return at;
}

/* Which of two is earlier: by frame, then by the place of its first token. */
static gboolean
is_earlier (const Forest *self, guint a, guint b)
{
  guint fa = a / self->nodes, fb = b / self->nodes;

  return fa != fb ? fa < fb : upper_left (self, a % self->nodes) < upper_left (self, b % self->nodes);
}

static void
unite (Forest *self, guint a, guint b)
{
  a = root_of (self, a);
  b = root_of (self, b);
  if (a == b)
    return;
  if (is_earlier (self, a, b))
    self->set[b] = a;
  else
    self->set[a] = b;
}

/* Neighbours in time of which one lies within the other: each pair once, at the first token of the smaller. */
static void
unite_frames (Forest *self, guint f, double alike)
{
  guint n = self->group->n_tokens;
  const guint *before = self->owner + (gsize) (f - 1) * n, *now = before + n;

  for (guint i = 0; i < n; i++) {
    guint smaller = level_of (self, before[i]) < level_of (self, now[i]) ? before[i] : now[i];

    if (upper_left (self, smaller) == i && tern_cosine (node_row (self, f - 1, before[i]), node_row (self, f, now[i]),
            tern_main (self->group)) >= alike)
      unite (self, (guint) ((gsize) (f - 1) * self->nodes + before[i]), (guint) ((gsize) f * self->nodes + now[i]));
  }
}

/* Merges by tau_s; returns how many tokens there are then. */
static guint
merge (Forest *self, double tau)
{
  guint all = self->group->n_frames * self->nodes, top = self->levels - 1, count = 0;

  memset (self->set, 0xff, all * sizeof *self->set);
  for (guint f = 0; f < self->group->n_frames; f++)
    choose_nodes (self, f, top, 0, 0, tau);
  for (guint f = 1; f < self->group->n_frames; f++)
    unite_frames (self, f, tau - APART);
  for (guint at = 0; at < all; at++)
    count += self->set[at] == at;
  return count;
}

/* Every row that is kept, in @mixed, becomes the mean of the nodes of its set. */
static void
mix_sets (Forest *self, float *mixed)
{
  const TernTokenGroup *group = self->group;
  guint dim = group->dim, all = group->n_frames * self->nodes;
  float *count = self->least;   /* cosines are not needed any more */

  memset (count, 0, all * sizeof *count);
  for (guint at = 0; at < all; at++) {
    guint root = self->set[at];
    float *out;

    if (root == G_MAXUINT)
      continue;
    out = mixed + ((gsize) (root / self->nodes) * group->n_tokens + upper_left (self, root % self->nodes)) * dim;
    for (guint d = 0; d < dim; d++)
      out[d] = (count[root] > 0 ? out[d] : 0) + self->row[(gsize) at * dim + d];
    count[root]++;
  }
  for (guint at = 0; at < all; at++) {
    float *out = mixed + ((gsize) (at / self->nodes) * group->n_tokens + upper_left (self, at % self->nodes)) * dim;

    for (guint d = 0; self->set[at] == at && d < dim; d++)
      out[d] /= count[at];
  }
}

static void
sttm_mix (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep,
    float *mixed)
{
  guint64 budget = tern_compress_budget (params, group->n_frames, group->n_tokens);
  double low = LOWEST, high = HIGHEST;
  Forest self = { 0 };
  guint all;

  plant (&self, group, scratch);
  if (merge (&self, HIGHEST) > budget) {
    for (guint step = 0; step < STEPS; step++) {
      double middle = (low + high) / 2;

      if (merge (&self, middle) <= budget)
        low = middle;
      else
        high = middle;
    }
    merge (&self, low);
  }
  all = group->n_frames * self.nodes;
  for (guint at = 0; at < all; at++)
    if (self.set[at] != G_MAXUINT)
      self.set[at] = root_of (&self, at);
  for (guint f = 0; f < group->n_frames; f++) {
    gint32 *row = keep + (gsize) f * group->n_tokens;

    n_keep[f] = 0;
    for (guint i = 0; i < group->n_tokens; i++) {
      guint node = self.owner[(gsize) f * group->n_tokens + i], at = (guint) ((gsize) f * self.nodes + node);

      if (self.set[at] != at || upper_left (&self, node) != i)
        continue;
      row[n_keep[f]++] = (gint32) i;
    }
  }
  mix_sets (&self, mixed);
}

const TernCompressMethod tern_compress_sttm = {
  .name = "sttm",
  .about = "STTM: means over areas and over time of what is alike",
  .needs = TERN_COMPRESS_NEEDS_TOKENS,
  .scratch = sttm_scratch,
  .bound = tern_compress_budget,
  .mix = sttm_mix,
};
