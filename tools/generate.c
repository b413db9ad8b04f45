/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern generate: text from a prompt, as it comes, or in a closed form. */
#include "tools/tool.h"

#include <stdio.h>
#include <string.h>

#include "tern/error.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/base/readfile.h"
#include "engine/chat/chat.h"
#include "engine/decode/generator.h"
#include "engine/decode/thought.h"
#include "tern/tasks.h"
#include "tools/forms.h"
#include "tools/text-model.h"

#define DIGITS 9                /* of scores, as in results */

typedef struct {
  TernTextOptions model;
  char *prompt, *prompt_file;
  char *draft_model, *draft_vocabulary;
  TernDraftScheme scheme;
  char *labels, *json_schema, *grammar;
  gboolean raw, think, ignore_eog;
  gint max_tokens, beam, top_k;
  gint64 seed;
  double temperature, top_p, min_p, repetition_penalty;
} Options;

typedef struct {
  const Options *options;
  TernTextModel model;
  TernLabels *labels;           /* the answer is one of them; */
  TernConstraint *constraint;   /* or of this form; both NULL: free text */
  TernDraftModel *draft;        /* NULL: none */
  TernGenerator *generator;
  TernPicking *picking;
  GArray *ids;                  /* gint32 */
  float *logits;                /* [n_vocab] */
  TernTextStream stream;
  GString *text;                /* what is printed next */
  gsize drop;                   /* most blanks before the answer that are none of it */
} Work;

static void
work_clear (Work *work)
{
  tern_generator_free (work->generator);
  tern_picking_free (work->picking);
  tern_labels_unref (work->labels);
  tern_constraint_unref (work->constraint);
  tern_draft_model_unref (work->draft);
  tern_text_model_clear (&work->model);
  tern_mem_free (work->logits);
  g_clear_pointer (&work->ids, g_array_unref);
  if (work->text)
    g_string_free (work->text, TRUE);
}

static char *
bos_text (const TernTokenizer *tokenizer)
{
  gint32 bos = tern_tokenizer_bos (tokenizer);
  TernBytes piece = { NULL, 0 };

  if (bos >= 0)
    piece = tern_tokenizer_piece (tokenizer, bos, TRUE);
  return g_strndup (piece.data ? piece.data : "", piece.len);
}

static void
add_bos (Work *work)
{
  gint32 bos = tern_tokenizer_bos (work->model.tokenizer);

  if (bos >= 0 && tern_tokenizer_add_bos (work->model.tokenizer)
      && !(work->ids->len && g_array_index (work->ids, gint32, 0) == bos))
    g_array_prepend_val (work->ids, bos);
}

/* What editors put around a text is none of it: the mark before the first line, and the end of the last. */
static void
trim_file (char *text)
{
  gsize n = strlen (text), mark = g_str_has_prefix (text, TERN_BOM) ? strlen (TERN_BOM) : 0;

  if (n > mark && text[n - 1] == '\n')
    n -= n > mark + 1 && text[n - 2] == '\r' ? 2 : 1;
  memmove (text, text + mark, n - mark);
  text[n - mark] = 0;
}

/* The text of --prompt-file, which a zero byte would cut short. */
static char *
read_prompt (const char *path, GError **error)
{
  g_autofree char *text = NULL;
  gsize size;

  if (!(text = tern_file_read (path, TERN_TOOL_MAX_TEXT, &size, error)))
    return NULL;
  if (strlen (text) < size) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected text, found a zero byte at %" G_GSIZE_FORMAT, path,
        strlen (text));
    return NULL;
  }
  trim_file (text);
  return g_steal_pointer (&text);
}

static gboolean
is_form (const Options *o)
{
  return o->labels || o->json_schema || o->grammar;
}

/* An answer of some form is not thought about: it begins with its first token. */
static gboolean
thinks (const Options *o)
{
  return o->think && !is_form (o);
}

/* Control tokens are recognised in the prompt too: it is the user's own, not text from somewhere else. */
static gboolean
make_prompt (Work *work, GError **error)
{
  g_autofree char *prompt = NULL;

  if (work->options->prompt_file && !(prompt = read_prompt (work->options->prompt_file, error)))
    return FALSE;
  if (!prompt)
    prompt = g_strdup (work->options->prompt);
  work->ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  if (work->options->raw) {
    tern_tokenizer_encode (work->model.tokenizer, prompt, strlen (prompt), TRUE, work->ids);
  } else {
    g_autoptr (TernChat) chat = tern_chat_new_from_gguf (work->model.file, error);
    g_autofree char *bos = bos_text (work->model.tokenizer), *text = NULL;

    if (chat && !(text = tern_chat_render_user (chat, bos, NULL, 0, prompt, thinks (work->options), error)))
      tern_chat_name_file (chat, error);
    if (!text) {
      g_prefix_error (error, "with --raw the chat template is left out; without it: ");
      return FALSE;
    }
    tern_tokenizer_encode (work->model.tokenizer, text, strlen (text), TRUE, work->ids);
  }
  if (!work->options->raw && is_form (work->options))
    tern_thought_close (work->model.tokenizer, work->ids);
  add_bos (work);
  if (work->ids->len)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "--prompt: expected some text for a model without a first token, "
      "found none");
  return FALSE;
}

/* ---- Closed forms ------------------------------------------------------------------------------------------------ */

static TernGrammar *
read_grammar (const Options *o, GError **error)
{
  TernGrammar *grammar = NULL;

  g_free (o->json_schema ? tern_form_schema (o->json_schema, &grammar, error)
      : tern_form_grammar (o->grammar, &grammar, error));
  return grammar;
}

static gboolean
make_form (Work *work, GError **error)
{
  const Options *o = work->options;
  TernTokenizer *tokenizer = work->model.tokenizer;
  guint n_ids = MIN (tern_tokenizer_size (tokenizer), tern_llm_info (work->model.llm)->n_vocab);

  if (o->labels) {
    g_auto (GStrv) texts = tern_form_labels ("--labels", o->labels, error);

    work->labels = texts ? tern_labels_new (tokenizer, (const char *const *) texts, g_strv_length (texts), error) : NULL;
    return work->labels != NULL;
  }
  if (o->json_schema || o->grammar) {
    g_autoptr (TernGrammar) grammar = read_grammar (o, error);
    g_autoptr (TernTokenTrie) trie = grammar ? tern_token_trie_new (tokenizer, n_ids, error) : NULL;

    work->constraint = trie ? tern_constraint_new (grammar, trie, error) : NULL;
    return work->constraint != NULL;
  }
  return TRUE;
}

/* The names are those of `tern caption`. */
static gboolean
answer_label (Work *work, GError **error)
{
  guint n = tern_labels_n (work->labels), best;
  g_autofree double *scores = g_new (double, n);
  TernJson json = { .out = work->text };
  double temperature;

  if (!tern_tasks_label_temperature (work->model.file, &temperature, error)
      || !tern_generator_run_labels (work->generator, work->model.state, work->logits, work->labels, work->picking, NULL,
          error))
    return FALSE;
  best = tern_labels_scores (tern_generator_label_logprobs (work->generator), n, temperature, scores);
  tern_json_open (&json, '{');
  tern_json_name (&json, "result");
  tern_json_text (&json, tern_labels_text (work->labels, best), -1);
  tern_json_name (&json, "labels");
  tern_json_open (&json, '[');
  for (guint i = 0; i < n; i++)
    tern_json_text (&json, tern_labels_text (work->labels, i), -1);
  tern_json_close (&json, ']');
  tern_json_name (&json, "scores");
  tern_json_open (&json, '[');
  for (guint i = 0; i < n; i++)
    tern_json_double (&json, scores[i], DIGITS);
  tern_json_close (&json, ']');
  tern_json_name (&json, "confidence");
  tern_json_double (&json, scores[best], DIGITS);
  tern_json_close (&json, '}');
  return TRUE;
}

/* ---- The draft --------------------------------------------------------------------------------------------------- */

static gboolean
open_draft (Work *work, GError **error)
{
  const TernTextModel *model = &work->model;
  const char *path = work->options->draft_model;
  g_autoptr (TernGguf) file = NULL;
  g_autoptr (TernLlm) llm = NULL;
  g_autoptr (TernTokenizer) tokenizer = NULL;

  if (!path)
    return TRUE;
  if ((file = tern_gguf_open (path, error)) && (llm = tern_llm_open (file, tern_llm_kernels (model->llm), model->pool, error))
      && (tokenizer = tern_tokenizer_new (file, error)))
    work->draft = tern_draft_model_new (llm, tokenizer, model->llm, model->tokenizer, work->options->scheme, error);
  if (!work->draft)
    g_prefix_error (error, "--draft-model: ");
  return work->draft != NULL;
}

static gboolean
give_draft (Work *work, GError **error)
{
  TernDraftParams params = { .context = work->model.params.context, .activations = work->model.params.activations };
  TernDraft *draft;

  if (!work->draft)
    return TRUE;
  if (!(draft = tern_draft_new (work->draft, &params, work->model.pool, error)))
    return FALSE;
  tern_generator_set_draft (work->generator, draft);
  return TRUE;
}

/* ---- The answer -------------------------------------------------------------------------------------------------- */

static gboolean
make_state (Work *work, const TernSampling *sampling, GError **error)
{
  TernTextModel *model = &work->model;
  TernGeneratorLimits limits = { .max_tokens = sampling->max_tokens, .max_beam = sampling->beam };
  guint n_vocab = tern_llm_info (model->llm)->n_vocab, wish = sampling->max_tokens;

  if (work->labels) {
    limits = (TernGeneratorLimits) { .max_tokens = 1, .max_beam = 1, .max_forks = tern_labels_forks (work->labels),
      .max_label = tern_labels_longest (work->labels) };
    wish = limits.max_label;
  }
  model->params.forks = tern_generator_forks (&limits);
  model->params.fork_pages = tern_generator_pages (&limits);
  model->params.guesses = work->draft ? TERN_GUESS_MAX : 0;
  if (!tern_text_model_start (model, "the prompt", work->ids->len, wish, error))
    return FALSE;
  work->text = g_string_new (NULL);
  return (work->generator = tern_generator_new (model->llm, model->tokenizer, &limits,
          tern_solo_store (model->state), error))
      && give_draft (work, error) && (work->picking = tern_picking_new (n_vocab, error))
      && (work->logits = tern_mem_alloc (n_vocab * sizeof (float), "logits", error));
}

static void
print (Work *work)
{
  fwrite (work->text->str, 1, work->text->len, stdout);
  fflush (stdout);
  g_string_truncate (work->text, 0);
}

/* Some vocabularies put a space before every text, and chats begin answers with blanks; of a form the rest is its own, and what
 * continues a raw text begins as it does. */
static gsize
blanks_before (const Work *work)
{
  if (work->constraint)
    return tern_constraint_begins_spaced (work->constraint);
  return work->options->raw ? 0 : G_MAXSIZE;
}

static void
drop_blanks (Work *work)
{
  gsize n = MIN (strspn (work->text->str, work->constraint ? " " : " \t\r\n"), work->drop);

  g_string_erase (work->text, 0, (gssize) n);
  work->drop = work->text->len ? 0 : work->drop - n;
}

static void
say (void *data, gint32 id, float probability)
{
  Work *work = data;

  tern_text_stream_push (&work->stream, work->model.tokenizer, id, work->text);
  drop_blanks (work);
  if (work->text->len)
    print (work);
}

/* Nothing but a thought that did not end would look like an answer of no words. */
static gboolean
check_answered (const Work *work, GError **error)
{
  TernSaid said = tern_generator_said (work->generator);

  if (said.n > 0 || said.thought == 0 || said.finish != TERN_FINISH_LENGTH)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "--max-tokens: expected as many as a thought and the answer behind it have,"
      " found %u, which the thought takes: there is no answer", said.thought);
  return FALSE;
}

static gboolean
answer_text (Work *work, const TernSampling *sampling, GError **error)
{
  work->drop = blanks_before (work);
  tern_generator_look (work->generator, (const gint32 *) work->ids->data, work->ids->len);
  if (!tern_generator_run (work->generator, work->model.state, work->logits, sampling, work->constraint, say, work,
          work->picking, NULL, error))
    return FALSE;
  tern_text_stream_end (&work->stream, work->text);
  return tern_generator_check (work->generator, error) && check_answered (work, error);
}

static gboolean
run (Work *work, const TernSampling *sampling, GError **error)
{
  TernLlmInput input;

  if (!tern_text_model_open (&work->model, &work->options->model, error) || !open_draft (work, error) || !make_form (work, error)
      || !make_prompt (work, error) || !make_state (work, sampling, error))
    return FALSE;
  input = (TernLlmInput) { .ids = (const gint32 *) work->ids->data, .n = work->ids->len };
  if (!tern_solo_eval (work->model.state, &input, TERN_LOGITS_LAST, work->logits, NULL, error)
      || !(work->labels ? answer_label (work, error) : answer_text (work, sampling, error)))
    return FALSE;
  g_string_append_c (work->text, '\n');
  print (work);
  return TRUE;
}

static int
check (Options *o, TernSampling *sampling, GError **error)
{
  int status = tern_text_options_check (&o->model, "generate");

  if (status != TERN_TOOL_DONE)
    return status;
  if (!o->prompt == !o->prompt_file)
    return tern_tool_usage ("generate: expected --prompt TEXT or --prompt-file F, found %s",
        o->prompt ? "both" : "none");
  if (!!o->labels + !!o->json_schema + !!o->grammar > 1)
    return tern_tool_usage ("generate: expected at most one of --labels, --json-schema and --grammar, found %s and %s",
        o->labels ? "--labels" : "--json-schema", o->grammar ? "--grammar" : "--json-schema");
  if (o->draft_vocabulary && !tern_draft_scheme_parse (o->draft_vocabulary, &o->scheme))
    return tern_tool_usage ("--draft-vocabulary: expected auto, same, tli or slem, found %s", o->draft_vocabulary);
  if (o->draft_vocabulary && !o->draft_model)
    return tern_tool_usage ("--draft-vocabulary: expected --draft-model F with it, found %s alone", o->draft_vocabulary);
  if (o->max_tokens < 1)
    return tern_tool_usage ("--max-tokens: expected 1 or more, found %d", o->max_tokens);
  if (o->beam < TERN_BEAM_MIN)
    return tern_tool_usage ("--beam: expected %d or more, found %d", TERN_BEAM_MIN, o->beam);
  if (o->top_k < 0)
    return tern_tool_usage ("--top-k: expected 0 or more, found %d", o->top_k);
  sampling->max_tokens = o->max_tokens;
  sampling->beam = o->beam;
  sampling->temperature = o->temperature;
  sampling->top_k = o->top_k;
  sampling->top_p = o->top_p;
  sampling->min_p = o->min_p;
  sampling->repetition_penalty = o->repetition_penalty;
  sampling->seed = o->seed;
  sampling->ignore_eog = o->ignore_eog;
  return tern_sampling_check (sampling, error) ? TERN_TOOL_DONE : tern_tool_fail (error);
}

/* What was asked for and has nothing to work on beside the rest. */
static void
tell_vain (const Options *o)
{
  static const char greedy[] = "nothing is drawn without a --temperature above 0";
  static const char closed[] = "labels are compared whole, not said token by token";
  gboolean labels = o->labels != NULL, form = labels || o->json_schema || o->grammar, likeliest = !(o->temperature > 0);
  const TernToolVain all[] = {
    { "--temperature", o->temperature > 0, labels, closed },
    { "--top-k", o->top_k != 0, labels, closed },
    { "--top-k", o->top_k != 0, !labels && likeliest, greedy },
    { "--top-p", o->top_p != 1, labels, closed },
    { "--top-p", o->top_p != 1, !labels && likeliest, greedy },
    { "--min-p", o->min_p != 0, labels, closed },
    { "--min-p", o->min_p != 0, !labels && likeliest, greedy },
    { "--seed", o->seed != 0, labels, closed },
    { "--seed", o->seed != 0, !labels && likeliest, greedy },
    { "--repetition-penalty", o->repetition_penalty != 1, labels, closed },
    { "--beam", o->beam > 1, labels, closed },
    { "--ignore-end", o->ignore_eog, labels, closed },
    { "--draft-model", o->draft_model != NULL, labels, closed },
    { "--draft-model", o->draft_model != NULL, !labels && o->beam > 1, "with --beam nothing is guessed" },
    { "--think", o->think, o->raw, "--raw leaves the template out, which has the switch" },
    { "--think", o->think, !o->raw && form, "answers in a form are not thought about" },
  };

  tern_tool_tell_vain ("generate", all, G_N_ELEMENTS (all));
}

int
tern_tool_generate (int argc, char **argv)
{
  Options o = { .max_tokens = 128, .beam = 1, .top_p = 1, .repetition_penalty = 1 };
  const GOptionEntry entries[] = {
    TERN_TEXT_OPTION_ENTRIES (&o.model),
    { "prompt", 0, 0, G_OPTION_ARG_STRING, &o.prompt, "What to answer, or with --raw to continue", "TEXT" },
    { "prompt-file", 0, 0, G_OPTION_ARG_FILENAME, &o.prompt_file, "The same from a file, without its last line's end", "F" },
    { "raw", 0, 0, G_OPTION_ARG_NONE, &o.raw, "Leave the model's chat template out", NULL },
    { "think", 0, 0, G_OPTION_ARG_NONE, &o.think, "Let the model think before it answers, if its template can say so; thoughts "
        "are not printed, but count among the tokens to say; one that does not end within them is an error", NULL },
    { "labels", 0, 0, G_OPTION_ARG_STRING, &o.labels, "Print how likely each of these words or phrases is as the answer, as one "
        "line of JSON {\"result\", \"labels\", \"scores\", \"confidence\"}; \\, is a comma in one", "A,B,..." },
    { "json-schema", 0, 0, G_OPTION_ARG_FILENAME, &o.json_schema, "Answer by JSON of this schema", "F" },
    { "grammar", 0, 0, G_OPTION_ARG_FILENAME, &o.grammar, "Answer by a sentence of this grammar (GBNF)", "F" },
    { "draft-model", 0, 0, G_OPTION_ARG_FILENAME, &o.draft_model, "A small language model (GGUF) that guesses the answer, of which "
        "several tokens are then read at once; the answer is the same", "F" },
    { "draft-vocabulary", 0, 0, G_OPTION_ARG_STRING, &o.draft_vocabulary, "... whose vocabulary is the same, or not: auto "
        "(default), same, tli (tokens that both have), slem (its text is split anew)", "KIND" },
    { "max-tokens", 0, 0, G_OPTION_ARG_INT, &o.max_tokens, "Most tokens to say (128)", "N" },
    { "temperature", 0, 0, G_OPTION_ARG_DOUBLE, &o.temperature, "0 = always the likeliest token (0)", "X" },
    { "top-k", 0, 0, G_OPTION_ARG_INT, &o.top_k, "Draw from the N likeliest tokens; 0 = all (0)", "N" },
    { "top-p", 0, 0, G_OPTION_ARG_DOUBLE, &o.top_p, "Draw from the likeliest ones that hold this share (1)", "X" },
    { "min-p", 0, 0, G_OPTION_ARG_DOUBLE, &o.min_p, "Leave out what is less likely than this share of the best (0)",
        "X" },
    { "repetition-penalty", 0, 0, G_OPTION_ARG_DOUBLE, &o.repetition_penalty, "Against tokens already said (1)", "X" },
    { "seed", 0, 0, G_OPTION_ARG_INT64, &o.seed, "Same seed, same text (0)", "N" },
    { "beam", 0, 0, G_OPTION_ARG_INT, &o.beam, "Beams; 1 is none (1)", "N" },
    { "ignore-end", 0, 0, G_OPTION_ARG_NONE, &o.ignore_eog, "Go on past end tokens", NULL },
    { NULL }
  };
  TernSampling sampling = TERN_SAMPLING_INIT;
  g_auto (GStrv) rest = NULL;
  g_autoptr (GError) error = NULL;
  Work work = { .options = &o };
  int status = TERN_TOOL_USAGE;

  if (tern_tool_options (argc, argv, NULL, 0, 0, "Generates text with a language model.", entries, &rest)
      && (status = check (&o, &sampling, &error)) == TERN_TOOL_DONE) {
    tell_vain (&o);
    if (!run (&work, &sampling, &error))
      status = tern_tool_fail (&error);
    if (!tern_tool_flush ())
      status = TERN_TOOL_FAILED;
  }
  work_clear (&work);
  tern_text_options_clear (&o.model);
  g_free (o.prompt);
  g_free (o.draft_model);
  g_free (o.draft_vocabulary);
  g_free (o.prompt_file);
  g_free (o.labels);
  g_free (o.json_schema);
  g_free (o.grammar);
  return status;
}
