/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests as OpenAI's API has them. Unknown members are not looked at; known ones that ask for what is not done here are
 * refused. */
#include "tools/serve/ask.h"

#include <string.h>

/* ---- What is not done here --------------------------------------------------------------------------------------- */

static gboolean
is_zero (JsonNode *node)
{
  double value;

  return tern_node_number (node, &value) && value == 0;
}

static gboolean
refuse_others (const TernFields *fields)
{
  static const struct { const char *name, *expected; } zeros[] = {
    { "frequency_penalty", "0: there is repetition_penalty" }, { "presence_penalty", "0: there is repetition_penalty" },
  };
  static const struct { const char *name, *expected; } absents[] = {
    { "audio", "none, for no sound is made here" }, { "functions", "none: there are tools" },
    { "function_call", "none: there is tool_choice" }, { "suffix", "none" }, { "prediction", "none" },
    { "web_search_options", "none, for this server fetches nothing" },
  };
  gint64 one = 1;
  gboolean off = FALSE;
  JsonNode *bias = tern_fields_get (fields, "logit_bias"), *node;
  JsonArray *modalities = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (zeros); i++)
    if ((node = tern_fields_get (fields, zeros[i].name)) && !is_zero (node))
      return tern_fields_refuse (fields, zeros[i].name, zeros[i].expected);
  for (guint i = 0; i < G_N_ELEMENTS (absents); i++)
    if (tern_fields_get (fields, absents[i].name))
      return tern_fields_refuse (fields, absents[i].name, absents[i].expected);
  if (bias && !(JSON_NODE_HOLDS_OBJECT (bias) && json_object_get_size (json_node_get_object (bias)) == 0))
    return tern_fields_refuse (fields, "logit_bias", "none");
  if (!tern_fields_flag (fields, "echo", &off) || !tern_fields_array (fields, "modalities", &modalities))
    return FALSE;
  if (off)
    return tern_fields_refuse (fields, "echo", "false");
  for (guint i = 0; modalities && i < json_array_get_length (modalities); i++) {
    node = json_array_get_element (modalities, i);
    if (!tern_node_is_text (node) || !g_str_equal (json_node_get_string (node), "text"))
      return tern_fields_refuse (fields, "modalities", "[\"text\"]");
  }
  return tern_fields_integer (fields, "n", 1, 1, &one) && tern_fields_integer (fields, "best_of", 1, 1, &one);
}

/* ---- What is ----------------------------------------------------------------------------------------------------- */

/* -1 is how some clients say that there is no limit. */
static gboolean
read_length (TernAsked *ask, const TernFields *fields, const char *name)
{
  gint64 n = -1;

  if (!tern_fields_integer (fields, name, -1, G_MAXINT64, &n))
    return FALSE;
  if (n == 0)
    return tern_fields_refuse (fields, name, "at least 1");
  if (n > 0)
    ask->sampling.max_tokens = (guint) MIN (n, TERN_MAX_TOKENS_MAX);
  return TRUE;
}

static gboolean
read_sampling (TernAsked *ask, const TernFields *fields)
{
  double temperature = 0, top_p = 1, min_p = 0, penalty = 1;
  gint64 top_k = 0;

  ask->sampling.seed = g_random_int ();
  if (!tern_fields_number (fields, "temperature", 0, 2, &temperature)
      || !tern_fields_number (fields, "top_p", 0, 1, &top_p)
      || !tern_fields_number (fields, "min_p", 0, TERN_MIN_P_MAX, &min_p)
      || !tern_fields_integer (fields, "top_k", -1, TERN_TOP_K_MAX, &top_k)
      || !tern_fields_number (fields, "repetition_penalty", TERN_REPETITION_PENALTY_MIN, TERN_REPETITION_PENALTY_MAX, &penalty)
      || !tern_fields_number (fields, "repeat_penalty", TERN_REPETITION_PENALTY_MIN, TERN_REPETITION_PENALTY_MAX, &penalty)
      || !tern_fields_seed (fields, "seed", &ask->sampling.seed))
    return FALSE;
  ask->sampling.temperature = (float) temperature;
  ask->sampling.top_p = (float) MAX (top_p, TERN_TOP_P_MIN);
  ask->sampling.min_p = (float) min_p;
  ask->sampling.top_k = (guint) MAX (top_k, 0);
  ask->sampling.repetition_penalty = (float) penalty;
  return read_length (ask, fields, "max_tokens") && read_length (ask, fields, "max_completion_tokens")
      && tern_ask_stop (ask, fields, "stop");
}

static gboolean
read_stream (TernAsked *ask, const TernFields *fields)
{
  TernFields options = { NULL, "stream_options.", fields->refusal };

  return tern_fields_flag (fields, "stream", &ask->stream)
      && tern_fields_object (fields, "stream_options", &options.object)
      && (!options.object || tern_fields_flag (&options, "include_usage", &ask->include_usage));
}

/* ---- Chats ------------------------------------------------------------------------------------------------------- */

static gboolean
read_chat_scores (TernAsked *ask, const TernFields *fields)
{
  gint64 top = 0;

  if (!tern_fields_flag (fields, "logprobs", &ask->scores)
      || !tern_fields_integer (fields, "top_logprobs", 0, TERN_TOP_SCORES_MAX, &top))
    return FALSE;
  if (top > 0 && !ask->scores)
    return tern_fields_refuse (fields, "logprobs", "true, for top_logprobs is given");
  ask->top_scores = (guint) top;
  return TRUE;
}

static gboolean
read_chat (TernTalk *talk, const TernFields *fields)
{
  JsonArray *tools = NULL;
  JsonObject *more = NULL;
  gboolean form = FALSE;

  if (!tern_fields_object (fields, "chat_template_kwargs", &more) || !read_chat_scores (talk->ask, fields)
      || !tern_ask_form (talk->ask, fields))
    return FALSE;
  form = talk->ask->json_schema || talk->ask->grammar;
  if (!tern_talk_tools (talk, fields, &tools))
    return FALSE;
  if (form && talk->ask->call)
    return tern_fields_refuse (fields, "tool_choice", "none or auto beside a form of the answer");
  if (form)                     /* what has a form is no call */
    g_clear_pointer (&talk->ask->tools, g_ptr_array_unref);
  return tern_talk_messages (talk, fields) && tern_talk_end (talk, form ? NULL : tools, more);
}

/* ---- Texts ------------------------------------------------------------------------------------------------------- */

/* "prompt": a text, or an array with one. */
static gboolean
read_prompt (TernAsked *ask, const TernFields *fields, const TernCapacity *capacity)
{
  JsonNode *node = tern_fields_get (fields, "prompt");
  gint64 top = -1;

  if (node && JSON_NODE_HOLDS_ARRAY (node) && json_array_get_length (json_node_get_array (node)) == 1)
    node = json_array_get_element (json_node_get_array (node), 0);
  if (!tern_node_is_text (node))
    return tern_fields_refuse (fields, "prompt", "one text");
  if (capacity->prompt_use == TERN_PROMPT_IGNORED)
    return tern_refuse (fields->refusal, 400, TERN_REQUEST_ERROR, "prompt", "prompt: expected a model that reads texts, found"
        " %s, which describes pictures: they go into /v1/chat/completions", capacity->names[0]);
  if (!tern_fields_integer (fields, "logprobs", 0, TERN_TOP_SCORES_MAX, &top))
    return FALSE;
  ask->scores = top >= 0;
  ask->top_scores = (guint) MAX (top, 0);
  ask->text = g_strdup (json_node_get_string (node));
  return TRUE;
}

gboolean
tern_ask_openai (TernAsked *ask, const TernFields *fields, const TernCapacity *capacity, const gint *gone)
{
  TernTalk talk = { ask, capacity, gone, fields->refusal, json_array_new (), FALSE };
  gboolean ok = tern_ask_model (fields, capacity, TRUE) && refuse_others (fields) && read_sampling (ask, fields)
      && read_stream (ask, fields);

  if (ok && ask->door == TERN_DOOR_TEXT)
    ok = tern_ask_form (ask, fields) && read_prompt (ask, fields, capacity);
  else if (ok)
    ok = read_chat (&talk, fields);
  json_array_unref (talk.messages);
  return ok;
}
