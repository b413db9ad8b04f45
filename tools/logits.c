/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern logits: what the model makes of given token ids, for comparison with other implementations. */
#include "tools/tool.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tern/error.h"
#include "engine/base/mem.h"
#include "engine/base/readfile.h"
#include "tools/npy.h"
#include "tools/text-model.h"
#include "tools/visual.h"

#define VISUAL -1               /* in the ids: the next sub-image's visual tokens */

typedef struct {
  TernTextOptions model;
  char *mmproj, *tokens, *output, *visual, *image_tokens;
  char **images;
  gint greedy;
} Options;

typedef struct {
  const Options *options;
  TernTextModel model;
  TernVisual visual;
  GArray *ids;                  /* gint32 */
  gsize positions;
  float *logits;                /* [positions, n_vocab] */
} Work;

static void
work_clear (Work *work)
{
  tern_mem_free (work->logits);
  tern_visual_clear (&work->visual);
  tern_text_model_clear (&work->model);
  g_clear_pointer (&work->ids, g_array_unref);
}

/* Whitespace separated ids, checked against the vocabulary. */
static gboolean
read_ids (Work *work, GError **error)
{
  const char *path = work->options->tokens;
  guint n_vocab = tern_llm_info (work->model.llm)->n_vocab;
  g_autofree char *text = NULL;
  gsize size;
  char *p;

  if (!(text = tern_file_read (path, TERN_TOOL_MAX_TEXT, &size, error)))
    return FALSE;
  work->ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  for (p = text; *(p += strspn (p, " \t\r\n\f\v"));) {
    int length = strcspn (p, " \t\r\n\f\v");
    gint32 id;
    char *end;
    long value;

    errno = 0;
    value = strtol (p, &end, 10);
    if (end != p + length || errno || value < VISUAL || value >= (long) n_vocab) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: id %u: expected a number from %d to %u, found %.*s", path,
          work->ids->len, VISUAL, n_vocab - 1, MIN (length, 32), p);
      return FALSE;
    }
    id = value;
    g_array_append_val (work->ids, id);
    p = end;
  }
  if (p != text + size) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected text, found a zero byte after id %u", path,
        work->ids->len);
    return FALSE;
  }
  if (!work->ids->len) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected token ids, found none", path);
    return FALSE;
  }
  return TRUE;
}

static guint
count_runs (const Work *work)
{
  guint runs = 0;

  for (guint i = 0; i < work->ids->len; i++)
    runs += g_array_index (work->ids, gint32, i) == VISUAL;
  return runs;
}

static gboolean
encode_images (Work *work, GError **error)
{
  const Options *o = work->options;
  TernVisualParams params = { .mmproj = o->mmproj, .images = o->images, .activations = o->model.activations,
    .runs = count_runs (work) };
  gsize shape[2];

  if (!o->mmproj)
    return TRUE;
  if (o->image_tokens)
    tern_visual_parse_limits (o->image_tokens, &params.min_tokens, &params.max_tokens);
  if (!tern_visual_encode (&work->visual, &params, o->model.model, tern_llm_info (work->model.llm),
          tern_kernels_default (NULL), work->model.pool, error))
    return FALSE;
  shape[0] = work->visual.n;
  shape[1] = work->visual.width;
  return !o->visual || tern_npy_write (o->visual, work->visual.rows, 2, shape, error);
}

/* Every -1 stands for a sub-image's run of tokens. */
static gboolean
count_positions (Work *work, GError **error)
{
  guint runs = count_runs (work);

  if (runs != work->visual.n_sub) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected %u times %d, one for each sub-image, found %u",
        work->options->tokens, work->visual.n_sub, VISUAL, runs);
    return FALSE;
  }
  work->positions = (gsize) work->ids->len - runs + work->visual.n;
  return TRUE;
}

static gboolean
make_state (Work *work, GError **error)
{
  gsize need = work->positions + MAX (work->options->greedy, 1) - 1, values, bytes;

  if (!tern_mul (work->positions, tern_llm_info (work->model.llm)->n_vocab, &values)
      || !tern_mul (values, sizeof (float), &bytes))
    bytes = G_MAXSIZE;
  return tern_text_model_start (&work->model, work->options->tokens, need, 0, error)
      && (work->logits = tern_mem_alloc (bytes, "logits", error));
}

/* Where the tokens of sub-image @sub stand, for models that want to know; the caller's to free. */
static TernPlace *
place_run (const Work *work, guint sub, TernLlmInput *input)
{
  guint columns = work->visual.columns[sub];
  TernPlace *places;

  if (!tern_llm_info (work->model.llm)->has_places)
    return NULL;
  places = g_new (TernPlace, input->n);
  tern_place_grid (places, columns, 0, input->n);
  input->places = places;
  input->advance = MAX (columns, input->n / columns);
  return places;
}

/* What stands behind its tokens, for models that take it; the caller's to free. */
static const float **
deepen_run (const Work *work, const TernLlmInput *input)
{
  const TernLlmInfo *info = tern_llm_info (work->model.llm);
  const float **slices;

  if (!info->deepstack)
    return NULL;
  slices = g_new (const float *, input->n);
  for (guint i = 0; i < input->n; i++)
    slices[i] = input->rows + i * input->ld + info->width;
  return slices;
}

/* Ids up to the next -1, then a run of visual tokens, and so on. */
static gboolean
eval_prompt (Work *work, GError **error)
{
  const gint32 *ids = (const gint32 *) work->ids->data;
  const TernVisual *visual = &work->visual;
  gsize n_vocab = tern_llm_info (work->model.llm)->n_vocab;
  const float *rows = visual->rows;
  float *logits = work->logits;
  guint sub = 0;

  for (guint i = 0; i < work->ids->len;) {
    g_autofree TernPlace *places = NULL;
    g_autofree const float **slices = NULL;
    TernLlmInput input = { 0 };

    if (ids[i] == VISUAL) {
      input = (TernLlmInput) { .rows = rows, .ld = visual->width, .n = visual->sub[sub] };
      places = place_run (work, sub++, &input);
      input.slices = slices = deepen_run (work, &input);
      rows += (gsize) input.n * visual->width;
      i++;
    } else {
      input.ids = ids + i;
      while (i < work->ids->len && ids[i] != VISUAL) {
        input.n++;
        i++;
      }
    }
    if (!tern_solo_eval (work->model.state, &input, TERN_LOGITS_ALL, logits, NULL, error))
      return FALSE;
    logits += input.n * n_vocab;
  }
  return TRUE;
}

/* Ties go to the lower id; end tokens do not end it; rows of the head without a token are never picked. */
static gint32
best_id (const float *row, guint n)
{
  gint32 best = 0;

  for (guint i = 1; i < n; i++)
    if (row[i] > row[best] || isnan (row[best]))
      best = i;
  return best;
}

static gboolean
print_greedy (Work *work, GError **error)
{
  guint n_vocab = tern_llm_info (work->model.llm)->n_vocab;
  guint n_ids = MIN (tern_tokenizer_size (work->model.tokenizer), n_vocab);
  float *row = work->logits + (work->positions - 1) * n_vocab;

  for (gint i = 0; i < work->options->greedy; i++) {
    gint32 id = best_id (row, n_ids);

    printf ("%s%d", i ? " " : "", id);
    if (i + 1 < work->options->greedy && !tern_solo_eval (work->model.state, &(TernLlmInput) { .ids = &id, .n = 1 },
            TERN_LOGITS_LAST, row, NULL, error)) {
      printf ("\n");
      return FALSE;
    }
  }
  printf ("\n");
  return TRUE;
}

static gboolean
run (Work *work, GError **error)
{
  gsize shape[2];

  if (!tern_text_model_open (&work->model, &work->options->model, error) || !read_ids (work, error)
      || !encode_images (work, error) || !count_positions (work, error) || !make_state (work, error) || !eval_prompt (work, error))
    return FALSE;
  shape[0] = work->positions;
  shape[1] = tern_llm_info (work->model.llm)->n_vocab;
  if (work->options->output && !tern_npy_write (work->options->output, work->logits, 2, shape, error))
    return FALSE;
  return work->options->greedy < 1 || print_greedy (work, error);
}

static int
check (Options *options)
{
  int status = tern_text_options_check (&options->model, "logits");
  guint min, max;

  if (status != TERN_TOOL_DONE)
    return status;
  if (!options->tokens)
    return tern_tool_usage ("logits: expected --tokens FILE, found none");
  if (!options->output && options->greedy < 1)
    return tern_tool_usage ("logits: expected --output or --greedy, found neither");
  if (options->images && !options->mmproj)
    return tern_tool_usage ("--image: expected --mmproj with it, found none");
  if (options->visual && !options->images)
    return tern_tool_usage ("--visual: expected --image with it, found none");
  if (options->image_tokens && !tern_visual_parse_limits (options->image_tokens, &min, &max))
    return tern_tool_usage ("--image-tokens: expected MIN:MAX, such as 64:256, found %s", options->image_tokens);
  if (options->greedy < 0)
    return tern_tool_usage ("--greedy: expected 0 or more, found %d", options->greedy);
  return TERN_TOOL_DONE;
}

int
tern_tool_logits (int argc, char **argv)
{
  Options o = { 0 };
  const GOptionEntry entries[] = {
    TERN_TEXT_OPTION_ENTRIES (&o.model),
    { "mmproj", 0, 0, G_OPTION_ARG_FILENAME, &o.mmproj, "Its vision encoder", "F" },
    { "image", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &o.images, "A picture of the prompt; may be repeated", "IMG" },
    { "image-tokens", 0, 0, G_OPTION_ARG_STRING, &o.image_tokens, "Visual tokens of an image instead of the model's "
        "limits", "MIN:MAX" },
    { "tokens", 0, 0, G_OPTION_ARG_FILENAME, &o.tokens, "Token ids, whitespace separated; -1 = the next sub-image",
        "FILE" },
    { "output", 0, 0, G_OPTION_ARG_FILENAME, &o.output, "float32 [position, vocabulary]", "OUT.npy" },
    { "visual", 0, 0, G_OPTION_ARG_FILENAME, &o.visual, "float32 [visual token, width]", "OUT.npy" },
    { "greedy", 0, 0, G_OPTION_ARG_INT, &o.greedy, "Print N greedy ids that continue the prompt", "N" },
    { NULL }
  };
  g_auto (GStrv) rest = NULL;
  g_autoptr (GError) error = NULL;
  Work work = { .options = &o };
  int status = TERN_TOOL_USAGE;

  if (tern_tool_options (argc, argv, NULL, 0, 0, "Computes the logits after each of some token ids.", entries, &rest)
      && (status = check (&o)) == TERN_TOOL_DONE) {
    if (!run (&work, &error))
      status = tern_tool_fail (&error);
    if (!tern_tool_flush ())
      status = TERN_TOOL_FAILED;
  }
  work_clear (&work);
  tern_text_options_clear (&o.model);
  g_free (o.mmproj);
  g_free (o.tokens);
  g_free (o.output);
  g_free (o.visual);
  g_free (o.image_tokens);
  g_strfreev (o.images);
  return status;
}
