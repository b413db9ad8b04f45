/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer target: any bytes as the body of a request to `tern serve`, the first byte says through which door. Half of them
 * are choices among what requests have in them. It is read, its pictures are decoded, its prompt is written, its form made,
 * and its memory taken; it is not answered. It may be refused, in words, never crash, hang or leak:
 *   fuzz-serve -max_len=20000 -timeout=20 CORPUS_FOLDER SEED_FOLDER */
#include <stdlib.h>

#include "bytes.h"
#include "tools/serve/ask.h"

#define MODEL TERN_TEST_DATA "/lfm2/lfm2-tq2_0.gguf"
#define MMPROJ TERN_TEST_DATA "/lfm2vl/mmproj-ship-q8_0.gguf"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static const char *const names[] = { "reader", NULL };

static void
nobody (void *data, TernCompletion *completion, const TernCompletionEvent *event)
{
}

/* Opened once, kept until the end. */
static const TernCapacity *
capacity (gboolean reads)
{
  static TernCapacity readers, captioners;

  if (!readers.model) {
    TernModelParams params = TERN_MODEL_PARAMS_INIT;
    TernPictureLimits limits = { .max_pixels = 1000000, .max_frames = 4, .cache_bytes = 1 << 20 };

    params.model_path = MODEL;
    params.mmproj_path = MMPROJ;
    params.threads = 1;
    readers.model = tern_model_open (&params, NULL);
    if (!readers.model)
      abort ();
    readers.pictures = tern_pictures_new (readers.model, &limits);
    readers.names = names;
    readers.max_tokens = 32;
    readers.max_pictures = 8;
    captioners = readers;
    captioners.prompt_use = TERN_PROMPT_IGNORED;
  }
  return reads ? &readers : &captioners;
}

/* As a worker does. */
static void
prepare (const TernAsked *ask, const TernCapacity *what)
{
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;
  g_autoptr (TernCompletion) completion = NULL;
  g_autoptr (GError) error = NULL;

  params.chat = ask->chat;
  params.text = ask->text;
  params.views = (TernView *const *) ask->views->pdata;
  params.n_views = ask->views->len;
  params.json_schema = ask->json_schema;
  params.stop = (const char *const *) ask->stop->pdata;
  params.sampling = ask->sampling;
  params.sampling.max_tokens = MIN (params.sampling.max_tokens, 64);
  params.scores = ask->scores;
  params.top_scores = ask->top_scores;
  params.func = nobody;
  completion = tern_completion_new (what->model, &params, &error);
  if (!completion && (!error || !g_utf8_validate (error->message, -1, NULL)))
    abort ();
}

/* ---- JSON by choices: always well formed, and mostly nonsense ---------------------------------------------------- */

static const char *const members[] = { "model", "messages", "role", "content", "type", "text", "image_url", "video_url", "url",
  "images", "prompt", "system", "format", "options", "num_predict", "stop", "temperature", "top_p", "top_k", "min_p", "seed",
  "max_tokens", "max_completion_tokens", "stream", "stream_options", "include_usage", "response_format", "json_schema", "schema",
  "tools", "tool_choice", "function", "name", "parameters", "arguments", "tool_calls", "tool_call_id", "logprobs", "top_logprobs",
  "chat_template_kwargs", "properties", "items", "anyOf", "required", "n", "raw", "think", "logit_bias", "const", "enum" };
static const char *const texts[] = { "", "user", "system", "assistant", "tool", "text", "image_url", "video_url", "json_schema",
  "json_object", "function", "required", "none", "object", "array", "string", "integer", "data:image/png;base64,iVBORw0KGgo=",
  "data:video/jpeg;base64,AA==,,", "<|im_end|>", "<image>", "<|im_", "end|>", "\356\200\2000\356\200\201", "reader", "json",
  "\303\251", "{}", "http://x" };

static const char *const scalars[] = { "null", "true", "false", "0", "-1", "1", "1e300", "0.5", "9223372036854775807" };

static void
write_any (GString *out, Bytes *bytes, guint depth)
{
  guint kind = next_below (bytes, depth > 6 ? 4 : 8), n;

  switch (kind) {
    case 0:
      g_string_append (out, scalars[next_below (bytes, G_N_ELEMENTS (scalars))]);
      break;
    case 1:
    case 2:
    case 3:
      g_string_append_printf (out, "\"%s\"", texts[next_below (bytes, G_N_ELEMENTS (texts))]);
      break;
    case 4:
    case 5:
      g_string_append_c (out, '[');
      n = next_below (bytes, 4);
      for (guint i = 0; i < n; i++) {
        g_string_append (out, i ? "," : "");
        write_any (out, bytes, depth + 1);
      }
      g_string_append_c (out, ']');
      break;
    default:
      g_string_append_c (out, '{');
      n = next_below (bytes, 8);
      for (guint i = 0; i < n; i++) {
        g_string_append_printf (out, "%s\"%s\":", i ? "," : "", members[next_below (bytes, G_N_ELEMENTS (members))]);
        write_any (out, bytes, depth + 1);
      }
      g_string_append_c (out, '}');
  }
}

/* A request whose first members are those that lead on. */
static GBytes *
nonsense (const guint8 *data, gsize size)
{
  Bytes bytes = { data, data + size };
  GString *out = g_string_new ("{\"messages\":[{\"role\":\"user\",\"content\":");

  write_any (out, &bytes, 1);
  g_string_append (out, "}]");
  while (bytes_left (&bytes) && out->len < 20000) {
    g_string_append_printf (out, ",\"%s\":", members[next_below (&bytes, G_N_ELEMENTS (members))]);
    write_any (out, &bytes, 1);
  }
  g_string_append_c (out, '}');
  return g_string_free_to_bytes (out);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  guint8 how = size > 0 ? data[0] : 0;
  TernDoor door = how % 4;
  const TernCapacity *what = capacity (how / 4 % 2 == 0);
  g_autoptr (GBytes) body = how / 8 % 2 ? nonsense (data + 1, size - 1) : g_bytes_new (data + (size > 0), size - (size > 0));
  TernRefusal refusal = { 0 };
  TernAsked ask;

  if (!tern_ask_parse (&ask, door, body, what, NULL, &refusal)) {
    if (refusal.status < 400 || !refusal.message || !g_utf8_validate (refusal.message, -1, NULL))
      abort ();
  } else if (!ask.nothing) {
    prepare (&ask, what);
  }
  tern_ask_clear (&ask);
  tern_refusal_clear (&refusal);
  return 0;
}
