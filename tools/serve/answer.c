/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/serve/answer.h"

#include <math.h>
#include <string.h>

#include "engine/base/json.h"

#define DIGITS 9

/* ---- Scores ------------------------------------------------------------------------------------------------------ */

void
tern_scores_init (TernScores *scores)
{
  *scores = (TernScores) { g_string_new (NULL), g_string_new (NULL), g_string_new (NULL), g_string_new (NULL),
    g_string_new (NULL), 0 };
}

void
tern_scores_clear (TernScores *scores)
{
  GString *parts[] = { scores->content, scores->tokens, scores->logprobs, scores->tops, scores->offsets };

  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    if (parts[i])
      g_string_free (parts[i], TRUE);
  *scores = (TernScores) { 0 };
}

static void
add_logprob (TernJson *json, double logprob)
{
  /* JSON has no infinity; OpenAI's own least value is about this. */
  tern_json_double (json, isfinite (logprob) ? logprob : -9999, DIGITS);
}

/* Opens an object that says which token it is, and how likely. */
static void
open_token (TernJson *json, const char *text, guint len, double logprob)
{
  tern_json_open (json, '{');
  tern_json_name (json, "token");
  tern_json_text (json, text, len);
  tern_json_name (json, "logprob");
  add_logprob (json, logprob);
  tern_json_name (json, "bytes");
  tern_json_open (json, '[');
  for (guint i = 0; i < len; i++)
    tern_json_uint (json, (guint8) text[i]);
  tern_json_close (json, ']');
}

static void
add_token (TernJson *json, const TernTokenScore *score)
{
  open_token (json, score->text, score->len, score->logprob);
  tern_json_name (json, "top_logprobs");
  tern_json_open (json, '[');
  for (guint i = 0; i < score->n_top; i++) {
    open_token (json, score->top[i].text, score->top[i].len, score->top[i].logprob);
    tern_json_close (json, '}');
  }
  tern_json_close (json, ']');
  tern_json_close (json, '}');
}

/* A writer at the end of a list of members. */
static TernJson
writer (GString *out)
{
  return (TernJson) { .out = out, .comma = out->len > 0 };
}

static void
add_of_text (TernScores *scores, const TernTokenScore *score)
{
  TernJson tokens = writer (scores->tokens), logprobs = writer (scores->logprobs), tops = writer (scores->tops),
    offsets = writer (scores->offsets);

  tern_json_text (&tokens, score->text, score->len);
  add_logprob (&logprobs, score->logprob);
  tern_json_uint (&offsets, scores->said);
  tern_json_open (&tops, '{');
  for (guint i = 0; i < score->n_top; i++) {
    g_autofree char *name = g_utf8_make_valid (score->top[i].text, score->top[i].len);

    tern_json_name (&tops, name);
    add_logprob (&tops, score->top[i].logprob);
  }
  tern_json_close (&tops, '}');
  /* Characters begin where no byte that goes on with one is. */
  for (guint i = 0; i < score->len; i++)
    scores->said += (score->text[i] & 0xc0) != 0x80;
}

void
tern_scores_add (TernScores *scores, const TernTokenScore *tokens, guint n, gboolean chat)
{
  TernJson json = writer (scores->content);

  for (guint i = 0; i < n; i++)
    if (chat)
      add_token (&json, &tokens[i]);
    else
      add_of_text (scores, &tokens[i]);
}

static void
move (GString *to, GString *from)
{
  if (from->len > 0)
    g_string_append_printf (to, "%s%s", to->len > 0 ? "," : "", from->str);
  g_string_truncate (from, 0);
}

void
tern_scores_move (TernScores *to, TernScores *from)
{
  move (to->content, from->content);
  move (to->tokens, from->tokens);
  move (to->logprobs, from->logprobs);
  move (to->tops, from->tops);
  move (to->offsets, from->offsets);
}

/* "logprobs": null where nobody asked. */
static void
write_scores (TernJson *json, const TernAnswerHead *head, const TernScores *scores)
{
  const struct { const char *name; const GString *members; } lists[] = {
    { "tokens", scores ? scores->tokens : NULL }, { "token_logprobs", scores ? scores->logprobs : NULL },
    { "top_logprobs", scores ? scores->tops : NULL }, { "text_offset", scores ? scores->offsets : NULL },
  };

  tern_json_name (json, "logprobs");
  if (!scores) {
    tern_json_null (json);
    return;
  }
  tern_json_open (json, '{');
  if (head->door == TERN_DOOR_CHAT) {
    tern_json_name (json, "content");
    tern_json_open (json, '[');
    g_string_append (json->out, scores->content->str);
    tern_json_close (json, ']');
  }
  for (guint i = 0; head->door == TERN_DOOR_TEXT && i < G_N_ELEMENTS (lists); i++) {
    tern_json_name (json, lists[i].name);
    tern_json_open (json, '[');
    g_string_append (json->out, lists[i].members->str);
    tern_json_close (json, ']');
  }
  tern_json_close (json, '}');
}

/* ---- Calls ------------------------------------------------------------------------------------------------------- */

void
tern_call_clear (TernCall *call)
{
  g_free (call->name);
  g_free (call->arguments);
  *call = (TernCall) { NULL, NULL };
}

static gboolean
is_one_of (const char *name, const GPtrArray *names)
{
  for (guint i = 0; name && i < names->len; i++)
    if (g_str_equal (name, names->pdata[i]))
      return TRUE;
  return FALSE;
}

/* Where a vocabulary has no tokens of thoughts they stand in the text; what begins a call already has none. */
static const char *
behind_thought (const char *text)
{
  const char *end = g_strrstr (text, "</think>"), *begin = text + strspn (text, " \t\r\n");

  return !end || *begin == '{' || g_str_has_prefix (begin, "<tool_call>") ? begin : end + strlen ("</think>");
}

gboolean
tern_call_find (TernCall *call, const char *said, const GPtrArray *names)
{
  const char *text = behind_thought (said);
  const char *open = strstr (text, "<tool_call>"), *close = open ? strstr (open, "</tool_call>") : NULL;
  const char *begin = open ? open + strlen ("<tool_call>") : text;
  g_autofree char *inner = close ? g_strndup (begin, (gsize) (close - begin)) : g_strdup (begin);
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (JsonNode) root = NULL;
  TernRefusal unused = { 0 };
  JsonNode *name, *arguments;

  g_strstrip (inner);           /* before it is measured */
  bytes = g_bytes_new (inner, strlen (inner));
  root = tern_fields_parse (bytes, &unused);
  tern_refusal_clear (&unused);
  if (!root)
    return FALSE;
  name = json_object_get_member (json_node_get_object (root), "name");
  arguments = json_object_get_member (json_node_get_object (root), "arguments");
  if (!arguments)
    arguments = json_object_get_member (json_node_get_object (root), "parameters");
  if (!tern_node_is_text (name) || !is_one_of (json_node_get_string (name), names) || !arguments
      || !JSON_NODE_HOLDS_OBJECT (arguments))
    return FALSE;
  call->name = g_strdup (json_node_get_string (name));
  call->arguments = tern_node_json (arguments);
  return TRUE;
}

static void
write_calls (TernJson *json, const TernAnswerHead *head, const TernCall *call, gboolean stream)
{
  g_autofree char *id = g_strconcat ("call_", strrchr (head->id, '-') + 1, NULL);
  gboolean ollama = head->door >= TERN_DOOR_OLLAMA_CHAT;

  tern_json_name (json, "tool_calls");
  tern_json_open (json, '[');
  tern_json_open (json, '{');
  if (stream && !ollama) {
    tern_json_name (json, "index");
    tern_json_uint (json, 0);
  }
  if (!ollama) {
    tern_json_name (json, "id");
    tern_json_text (json, id, -1);
    tern_json_name (json, "type");
    tern_json_text (json, "function", -1);
  }
  tern_json_name (json, "function");
  tern_json_open (json, '{');
  tern_json_name (json, "name");
  tern_json_text (json, call->name, -1);
  tern_json_name (json, "arguments");
  if (ollama)
    tern_json_raw (json, call->arguments);
  else
    tern_json_text (json, call->arguments, -1);
  tern_json_close (json, '}');
  tern_json_close (json, '}');
  tern_json_close (json, ']');
}

/* ---- Parts ------------------------------------------------------------------------------------------------------- */

static void
write_ms (TernJson *json, const char *name, double ms)
{
  tern_json_name (json, name);
  tern_json_double (json, ms, DIGITS);
}

/* @object: what kind of answer. Opens the object. */
static void
write_head (TernJson *json, const TernAnswerHead *head, const char *object)
{
  tern_json_open (json, '{');
  tern_json_add_text (json, "id", head->id);
  tern_json_add_text (json, "object", object);
  tern_json_add_uint (json, "created", (guint64) head->created);
  tern_json_add_text (json, "model", head->model);
  tern_json_add_text (json, "system_fingerprint", "tern-" TERN_VERSION);
}

static void
write_usage (TernJson *json, const TernAnswerEnd *end)
{
  tern_json_name (json, "usage");
  tern_json_open (json, '{');
  tern_json_add_uint (json, "prompt_tokens", end->prompt_tokens);
  tern_json_add_uint (json, "completion_tokens", end->generated_tokens);
  tern_json_add_uint (json, "total_tokens", end->prompt_tokens + end->generated_tokens);
  tern_json_close (json, '}');
}

static double
per_second (guint n, double ms)
{
  return ms > 0 ? n / ms * 1000 : 0;
}

/* As llama.cpp's clients read them. */
static void
write_timings (TernJson *json, const TernAnswerEnd *end)
{
  tern_json_name (json, "timings");
  tern_json_open (json, '{');
  tern_json_add_uint (json, "prompt_n", end->prompt_tokens);
  write_ms (json, "prompt_ms", end->prompt_ms + end->encode_ms);
  write_ms (json, "prompt_per_second", per_second (end->prompt_tokens, end->prompt_ms + end->encode_ms));
  tern_json_add_uint (json, "predicted_n", end->generated_tokens);
  write_ms (json, "predicted_ms", end->decode_ms);
  write_ms (json, "predicted_per_second", per_second (end->generated_tokens, end->decode_ms));
  if (end->guesses) {
    tern_json_add_uint (json, "draft_n", end->guesses);
    tern_json_add_uint (json, "draft_n_accepted", end->guesses_right);
  }
  write_ms (json, "encode_ms", end->encode_ms);
  write_ms (json, "total_ms", end->total_ms);
  tern_json_close (json, '}');
}

/* Opens the one choice. */
static void
open_choice (TernJson *json)
{
  tern_json_name (json, "choices");
  tern_json_open (json, '[');
  tern_json_open (json, '{');
  tern_json_add_uint (json, "index", 0);
}

static void
close_choice (TernJson *json, const char *reason)
{
  tern_json_name (json, "finish_reason");
  if (reason)
    tern_json_text (json, reason, -1);
  else
    tern_json_null (json);
  tern_json_close (json, '}');
  tern_json_close (json, ']');
}

char *
tern_time_text (gint64 seconds)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (seconds);

  return time ? g_date_time_format (time, "%Y-%m-%dT%H:%M:%SZ") : g_strdup ("1970-01-01T00:00:00Z");
}

/* Ollama's: a line of a stream, or the whole. @end NULL: it goes on. */
static char *
ollama_line (const TernAnswerHead *head, const char *thought, const char *text, const TernCall *call, const TernAnswerEnd *end)
{
  TernJson json = { .out = g_string_new (NULL) };
  g_autofree char *created = tern_time_text (head->created);

  tern_json_open (&json, '{');
  tern_json_add_text (&json, "model", head->model);
  tern_json_add_text (&json, "created_at", created);
  if (head->door == TERN_DOOR_OLLAMA_CHAT) {
    tern_json_name (&json, "message");
    tern_json_open (&json, '{');
    tern_json_add_text (&json, "role", "assistant");
    tern_json_add_text (&json, "content", call ? "" : text);
    if (*thought)
      tern_json_add_text (&json, "thinking", thought);
    if (call)
      write_calls (&json, head, call, FALSE);
    tern_json_close (&json, '}');
  } else {
    tern_json_add_text (&json, "response", text);
    if (*thought)
      tern_json_add_text (&json, "thinking", thought);
  }
  tern_json_name (&json, "done");
  tern_json_bool (&json, end != NULL);
  if (end) {
    tern_json_add_text (&json, "done_reason", g_str_equal (end->reason, "tool_calls") ? "stop" : end->reason);
    tern_json_add_uint (&json, "total_duration", (guint64) (end->total_ms * 1e6));
    tern_json_add_uint (&json, "load_duration", 0);
    tern_json_add_uint (&json, "prompt_eval_count", end->prompt_tokens);
    tern_json_add_uint (&json, "prompt_eval_duration", (guint64) ((end->prompt_ms + end->encode_ms) * 1e6));
    tern_json_add_uint (&json, "eval_count", end->generated_tokens);
    tern_json_add_uint (&json, "eval_duration", (guint64) (end->decode_ms * 1e6));
  }
  tern_json_close (&json, '}');
  return g_string_free (json.out, FALSE);
}

/* ---- In one piece ------------------------------------------------------------------------------------------------ */

static void
write_message (TernJson *json, const TernAnswerHead *head, const char *thought, const char *text, const TernCall *call)
{
  tern_json_name (json, "message");
  tern_json_open (json, '{');
  tern_json_add_text (json, "role", "assistant");
  if (*thought)
    tern_json_add_text (json, "reasoning_content", thought);
  tern_json_name (json, "content");
  if (call) {
    tern_json_null (json);
    write_calls (json, head, call, FALSE);
  } else {
    tern_json_text (json, text, -1);
  }
  tern_json_close (json, '}');
}

char *
tern_answer_whole (const TernAnswerHead *head, const char *thought, const char *text, const TernScores *scores,
    const TernCall *call, const TernAnswerEnd *end)
{
  TernJson json = { .out = NULL };

  if (head->door >= TERN_DOOR_OLLAMA_CHAT)
    return ollama_line (head, thought, text, call, end);
  json.out = g_string_new (NULL);
  write_head (&json, head, head->door == TERN_DOOR_CHAT ? "chat.completion" : "text_completion");
  open_choice (&json);
  if (head->door == TERN_DOOR_CHAT)
    write_message (&json, head, thought, text, call);
  else
    tern_json_add_text (&json, "text", text);
  write_scores (&json, head, scores);
  close_choice (&json, end->reason);
  write_usage (&json, end);
  write_timings (&json, end);
  tern_json_close (&json, '}');
  return g_string_free (json.out, FALSE);
}

/* ---- Streams ----------------------------------------------------------------------------------------------------- */

const char *
tern_answer_stream_type (TernDoor door)
{
  return door >= TERN_DOOR_OLLAMA_CHAT ? "application/x-ndjson" : "text/event-stream";
}

/* Takes @json. */
static char *
event (GString *json)
{
  g_string_prepend (json, "data: ");
  g_string_append (json, "\n\n");
  return g_string_free (json, FALSE);
}

static char *
line (char *json)
{
  g_autofree char *owned = json;

  return g_strconcat (owned, "\n", NULL);
}

/* Opens what every event of a stream has; with usage at its end, all others have null. */
static TernJson
open_event (const TernAnswerHead *head)
{
  TernJson json = { .out = g_string_new (NULL) };

  write_head (&json, head, head->door == TERN_DOOR_CHAT ? "chat.completion.chunk" : "text_completion");
  open_choice (&json);
  return json;
}

static char *
close_event (TernJson *json, const TernAnswerHead *head, const char *reason, const TernAnswerEnd *end)
{
  close_choice (json, reason);
  if (head->include_usage) {
    tern_json_name (json, "usage");
    tern_json_null (json);
  }
  if (end)
    write_timings (json, end);
  tern_json_close (json, '}');
  return event (json->out);
}

char *
tern_answer_first (const TernAnswerHead *head)
{
  TernJson json;

  if (head->door != TERN_DOOR_CHAT)
    return g_strdup ("");
  json = open_event (head);
  tern_json_name (&json, "delta");
  tern_json_open (&json, '{');
  tern_json_add_text (&json, "role", "assistant");
  tern_json_add_text (&json, "content", "");
  tern_json_close (&json, '}');
  write_scores (&json, head, NULL);
  return close_event (&json, head, NULL, NULL);
}

char *
tern_answer_piece (const TernAnswerHead *head, const char *thought, const char *text, const TernScores *scores)
{
  TernJson json;

  if (head->door >= TERN_DOOR_OLLAMA_CHAT)
    return line (ollama_line (head, thought, text, NULL, NULL));
  json = open_event (head);
  if (head->door == TERN_DOOR_CHAT) {
    tern_json_name (&json, "delta");
    tern_json_open (&json, '{');
    if (*thought)
      tern_json_add_text (&json, "reasoning_content", thought);
    if (*text || !*thought)
      tern_json_add_text (&json, "content", text);
    tern_json_close (&json, '}');
  } else {
    tern_json_add_text (&json, "text", text);
  }
  write_scores (&json, head, scores);
  return close_event (&json, head, NULL, NULL);
}

static char *
usage_event (const TernAnswerHead *head, const TernAnswerEnd *end)
{
  TernJson json = { .out = g_string_new (NULL) };

  write_head (&json, head, head->door == TERN_DOOR_CHAT ? "chat.completion.chunk" : "text_completion");
  tern_json_name (&json, "choices");
  tern_json_open (&json, '[');
  tern_json_close (&json, ']');
  write_usage (&json, end);
  tern_json_close (&json, '}');
  return event (json.out);
}

char *
tern_answer_last (const TernAnswerHead *head, const TernCall *call, const TernAnswerEnd *end)
{
  g_autofree char *last = NULL, *usage = NULL;
  TernJson json;

  if (head->door >= TERN_DOOR_OLLAMA_CHAT)
    return line (ollama_line (head, "", "", call, end));
  json = open_event (head);
  if (head->door == TERN_DOOR_CHAT) {
    tern_json_name (&json, "delta");
    tern_json_open (&json, '{');
    if (call)
      write_calls (&json, head, call, TRUE);
    tern_json_close (&json, '}');
  } else {
    tern_json_add_text (&json, "text", "");
  }
  write_scores (&json, head, NULL);
  last = close_event (&json, head, end->reason, end);
  usage = head->include_usage ? usage_event (head, end) : g_strdup ("");
  return g_strconcat (last, usage, "data: [DONE]\n\n", NULL);
}

char *
tern_answer_broken (const TernAnswerHead *head, const TernRefusal *refusal)
{
  gboolean ollama = head->door >= TERN_DOOR_OLLAMA_CHAT;
  g_autofree char *body = tern_refusal_json (refusal, ollama);

  return ollama ? g_strconcat (body, "\n", NULL) : g_strconcat ("data: ", body, "\n\n", NULL);
}

/* ---- Refusals ---------------------------------------------------------------------------------------------------- */

static void
write_or_null (TernJson *json, const char *name, const char *text)
{
  tern_json_name (json, name);
  if (text)
    tern_json_text (json, text, -1);
  else
    tern_json_null (json);
}

char *
tern_refusal_json (const TernRefusal *refusal, gboolean ollama)
{
  TernJson json = { .out = g_string_new (NULL) };

  tern_json_open (&json, '{');
  tern_json_name (&json, "error");
  if (ollama) {
    tern_json_text (&json, refusal->message, -1);
  } else {
    tern_json_open (&json, '{');
    tern_json_add_text (&json, "message", refusal->message);
    tern_json_add_text (&json, "type", refusal->type);
    write_or_null (&json, "param", refusal->param);
    write_or_null (&json, "code", refusal->code);
    tern_json_close (&json, '}');
  }
  tern_json_close (&json, '}');
  return g_string_free (json.out, FALSE);
}
