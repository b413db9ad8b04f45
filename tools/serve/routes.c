/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is to ask for, and what the model is in the words of each kind of client. */
#include "tools/serve/serve.h"

#include <string.h>

#include <glib/gstdio.h>

#include "engine/base/json.h"

/* Ollama's clients look whether the version is new enough for what they want; this is whose API is spoken. */
#define OLLAMA_VERSION "0.9.0"

static void
reply (TernHttpRequest *request, TernJson *json)
{
  tern_http_reply (request, 200, "application/json", g_string_free (json->out, FALSE));
}

/* The model, or NULL with the request refused. */
static TernModel *
model_for (TernServe *serve, TernHttpRequest *request)
{
  TernRefusal refusal = { 0 };

  if (serve->capacity.model)
    return serve->capacity.model;
  tern_refuse (&refusal, 503, "unavailable_error", NULL, "the model is being loaded; try again");
  refusal.retry_after = 1;
  tern_http_refuse (request, &refusal);
  tern_refusal_clear (&refusal);
  return NULL;
}

/* ---- Is it there? ------------------------------------------------------------------------------------------------ */

static void
root (TernHttpRequest *request, void *data)
{
  tern_http_reply (request, 200, "text/plain; charset=utf-8", g_strdup ("Tern is running\n"));
}

static void
health (TernHttpRequest *request, void *data)
{
  TernServe *serve = data;

  if (model_for (serve, request))
    tern_http_reply (request, 200, "application/json", g_strdup ("{\"status\":\"ok\"}"));
}

static void
metrics (TernHttpRequest *request, void *data)
{
  TernServe *serve = data;
  TernModel *model = serve->capacity.model;
  TernGauges gauges = { .model = serve->names[0], .instruction_set = model ? tern_model_instruction_set (model) : "",
    .ready = model != NULL, .running = serve->running, .waiting = serve->waiting.length,
    .body_bytes = tern_http_held (serve->http) };

  if (serve->capacity.pictures)
    tern_pictures_counts (serve->capacity.pictures, &gauges.pictures, &gauges.pictures_kept, &gauges.picture_bytes);
  tern_http_reply (request, 200, "text/plain; version=0.0.4; charset=utf-8", tern_metrics_text (&serve->metrics, &gauges));
}

/* ---- OpenAI's and llama.cpp's words ------------------------------------------------------------------------------ */

/* Of the language model: a row of visual tokens may be several of its own behind each other. */
static guint
width (TernModel *model)
{
  return tern_model_embedding_dim (model) / (1 + tern_model_deepstack (model));
}

static void
write_modalities (TernJson *json, const TernServe *serve)
{
  tern_json_open (json, '[');
  tern_json_text (json, "text", -1);
  if (serve->capacity.pictures)
    tern_json_text (json, "image", -1);
  tern_json_close (json, ']');
}

static void
write_model (TernJson *json, const TernServe *serve, TernModel *model)
{
  tern_json_open (json, '{');
  tern_json_add_text (json, "id", serve->names[0]);
  tern_json_add_text (json, "object", "model");
  tern_json_add_uint (json, "created", (guint64) serve->started);
  tern_json_add_text (json, "owned_by", "tern");
  tern_json_name (json, "aliases");
  tern_json_open (json, '[');
  for (guint i = 1; serve->names[i]; i++)
    tern_json_text (json, serve->names[i], -1);
  tern_json_close (json, ']');
  tern_json_add_uint (json, "max_model_len", tern_model_context (model));
  tern_json_name (json, "meta");
  tern_json_open (json, '{');
  tern_json_add_uint (json, "n_ctx", tern_model_context (model));
  tern_json_add_uint (json, "n_ctx_train", tern_model_context (model));
  tern_json_add_uint (json, "n_embd", width (model));
  tern_json_close (json, '}');
  tern_json_name (json, "architecture");
  tern_json_open (json, '{');
  tern_json_name (json, "input_modalities");
  write_modalities (json, serve);
  tern_json_name (json, "output_modalities");
  tern_json_open (json, '[');
  tern_json_text (json, "text", -1);
  tern_json_close (json, ']');
  tern_json_close (json, '}');
  tern_json_close (json, '}');
}

static void
models (TernHttpRequest *request, void *data)
{
  TernServe *serve = data;
  TernModel *model = model_for (serve, request);
  TernJson json = { .out = NULL };

  if (!model)
    return;
  json.out = g_string_new (NULL);
  tern_json_open (&json, '{');
  tern_json_add_text (&json, "object", "list");
  tern_json_name (&json, "data");
  tern_json_open (&json, '[');
  write_model (&json, serve, model);
  tern_json_close (&json, ']');
  tern_json_close (&json, '}');
  reply (request, &json);
}

/* Names may have slashes in them, as they are or as %2F. */
static void
one_model (TernHttpRequest *request, void *data)
{
  TernServe *serve = data;
  TernModel *model = model_for (serve, request);
  g_autofree char *name = g_uri_unescape_string (strstr (tern_http_path (request), "models/") + strlen ("models/"), NULL);
  TernJson json = { .out = NULL };
  TernRefusal refusal = { 0 };

  if (!model)
    return;
  if (!name || !g_utf8_validate (name, -1, NULL) || !tern_ask_is_name (&serve->capacity, name, TRUE)) {
    tern_refuse (&refusal, 404, TERN_REQUEST_ERROR, "model", "model: expected %s, found another", serve->names[0]);
    refusal.code = "model_not_found";
    tern_http_refuse (request, &refusal);
    tern_refusal_clear (&refusal);
    return;
  }
  json.out = g_string_new (NULL);
  write_model (&json, serve, model);
  reply (request, &json);
}


static void
props (TernHttpRequest *request, void *data)
{
  TernServe *serve = data;
  TernModel *model = model_for (serve, request);
  const char *template = model ? tern_model_chat_template (model) : "";
  gboolean reads = serve->capacity.prompt_use == TERN_PROMPT_READ;
  TernJson json = { .out = NULL };

  if (!model)
    return;
  json.out = g_string_new (NULL);
  tern_json_open (&json, '{');
  tern_json_name (&json, "default_generation_settings");
  tern_json_open (&json, '{');
  tern_json_add_uint (&json, "n_ctx", tern_model_context (model));
  tern_json_close (&json, '}');
  tern_json_add_uint (&json, "total_slots", serve->limits.parallel);
  tern_json_add_text (&json, "model_alias", serve->names[0]);
  tern_json_name (&json, "modalities");
  tern_json_open (&json, '{');
  tern_json_add_bool (&json, "vision", serve->capacity.pictures != NULL);
  tern_json_add_bool (&json, "audio", FALSE);
  tern_json_close (&json, '}');
  tern_json_add_text (&json, "chat_template", template);
  tern_json_name (&json, "chat_template_caps");
  tern_json_open (&json, '{');
  tern_json_add_bool (&json, "supports_tools", reads);
  tern_json_add_bool (&json, "supports_system_role", TRUE);
  tern_json_close (&json, '}');
  tern_json_add_text (&json, "build_info", "tern-" TERN_VERSION);
  tern_json_close (&json, '}');
  reply (request, &json);
}

static void
chat (TernHttpRequest *request, void *data)
{
  tern_job_begin (data, request, TERN_DOOR_CHAT);
}

static void
complete (TernHttpRequest *request, void *data)
{
  tern_job_begin (data, request, TERN_DOOR_TEXT);
}

/* ---- Ollama's words ---------------------------------------------------------------------------------------------- */

static guint64
file_size (const char *path)
{
  GStatBuf info;

  return path && g_stat (path, &info) == 0 ? (guint64) info.st_size : 0;
}

static void
write_details (TernJson *json)
{
  tern_json_name (json, "details");
  tern_json_open (json, '{');
  tern_json_add_text (json, "parent_model", "");
  tern_json_add_text (json, "format", "gguf");
  tern_json_add_text (json, "family", "tern");
  tern_json_name (json, "families");
  tern_json_open (json, '[');
  tern_json_text (json, "tern", -1);
  tern_json_close (json, ']');
  tern_json_add_text (json, "parameter_size", "");
  tern_json_add_text (json, "quantization_level", "");
  tern_json_close (json, '}');
}

static void
tags (TernHttpRequest *request, void *data)
{
  TernServe *serve = data;
  TernModel *model = model_for (serve, request);
  g_autofree char *modified = tern_time_text (serve->started);
  g_autofree char *digest = model ? g_compute_checksum_for_string (G_CHECKSUM_SHA256, serve->names[0], -1) : NULL;
  TernJson json = { .out = NULL };

  if (!model)
    return;
  json.out = g_string_new (NULL);
  tern_json_open (&json, '{');
  tern_json_name (&json, "models");
  tern_json_open (&json, '[');
  tern_json_open (&json, '{');
  tern_json_add_text (&json, "name", serve->names[0]);
  tern_json_add_text (&json, "model", serve->names[0]);
  tern_json_add_text (&json, "modified_at", modified);
  tern_json_add_uint (&json, "size", file_size (tern_model_path (model)) + file_size (tern_model_mmproj_path (model)));
  tern_json_add_text (&json, "digest", digest);
  write_details (&json);
  tern_json_close (&json, '}');
  tern_json_close (&json, ']');
  tern_json_close (&json, '}');
  reply (request, &json);
}

/* The model that a client asks about, in "model" or, before, "name". */
static gboolean
asks_for_us (TernServe *serve, TernHttpRequest *request)
{
  TernRefusal refusal = { 0 };
  g_autoptr (JsonNode) root_node = tern_fields_parse (tern_http_body (request), &refusal);
  TernFields fields = { root_node ? json_node_get_object (root_node) : NULL, "", &refusal };
  gboolean ok = root_node && tern_ask_model (&fields, &serve->capacity, TRUE);

  if (!ok)
    tern_http_refuse (request, &refusal);
  tern_refusal_clear (&refusal);
  return ok;
}

static void
show (TernHttpRequest *request, void *data)
{
  TernServe *serve = data;
  TernModel *model = model_for (serve, request);
  gboolean reads = serve->capacity.prompt_use == TERN_PROMPT_READ;
  TernJson json = { .out = NULL };

  if (!model || !asks_for_us (serve, request))
    return;
  json.out = g_string_new (NULL);
  tern_json_open (&json, '{');
  tern_json_add_text (&json, "template", tern_model_chat_template (model));
  write_details (&json);
  tern_json_name (&json, "model_info");
  tern_json_open (&json, '{');
  tern_json_add_text (&json, "general.architecture", "tern");
  tern_json_add_text (&json, "general.basename", serve->names[0]);
  tern_json_add_uint (&json, "tern.context_length", tern_model_context (model));
  tern_json_add_uint (&json, "tern.embedding_length", width (model));
  tern_json_close (&json, '}');
  tern_json_name (&json, "capabilities");
  tern_json_open (&json, '[');
  tern_json_text (&json, "completion", -1);
  if (serve->capacity.pictures)
    tern_json_text (&json, "vision", -1);
  if (reads)
    tern_json_text (&json, "tools", -1);
  if (strstr (tern_model_chat_template (model), "enable_thinking"))
    tern_json_text (&json, "thinking", -1);
  tern_json_close (&json, ']');
  tern_json_close (&json, '}');
  reply (request, &json);
}

static void
version (TernHttpRequest *request, void *data)
{
  tern_http_reply (request, 200, "application/json", g_strdup ("{\"version\":\"" OLLAMA_VERSION "\"}"));
}

static void
ollama_chat (TernHttpRequest *request, void *data)
{
  tern_job_begin (data, request, TERN_DOOR_OLLAMA_CHAT);
}

static void
ollama_generate (TernHttpRequest *request, void *data)
{
  tern_job_begin (data, request, TERN_DOOR_OLLAMA_GENERATE);
}

/* ---- The table --------------------------------------------------------------------------------------------------- */

static const TernHttpRoute routes[] = {
  { "GET", "/", TRUE, FALSE, root },
  { "GET", "/health", TRUE, FALSE, health },
  { "GET", "/v1/health", TRUE, FALSE, health },
  { "GET", "/readyz", TRUE, FALSE, health },
  { "GET", "/metrics", FALSE, FALSE, metrics },
  { "GET", "/props", FALSE, FALSE, props },
  { "GET", "/v1/models", FALSE, FALSE, models },
  { "GET", "/models", FALSE, FALSE, models },
  { "GET", "/v1/models/*", FALSE, FALSE, one_model },
  { "GET", "/models/*", FALSE, FALSE, one_model },
  { "POST", "/v1/chat/completions", FALSE, TRUE, chat },
  { "POST", "/chat/completions", FALSE, TRUE, chat },
  { "POST", "/v1/completions", FALSE, TRUE, complete },
  { "POST", "/completions", FALSE, TRUE, complete },
  { "GET", "/api/version", FALSE, FALSE, version },
  { "GET", "/api/tags", FALSE, FALSE, tags },
  { "POST", "/api/show", FALSE, FALSE, show },
  { "POST", "/api/chat", FALSE, TRUE, ollama_chat },
  { "POST", "/api/generate", FALSE, TRUE, ollama_generate },
};

static char *
refusal_body (const char *path, const TernRefusal *refusal, const char **type)
{
  *type = "application/json";
  return tern_refusal_json (refusal, g_str_has_prefix (path, "/api/"));
}

static void
answered (void *data, const TernHttpRoute *route, guint status)
{
  TernServe *serve = data;

  tern_metrics_request (&serve->metrics, route ? route->path : "other", status);
}

void
tern_serve_fill_service (TernServe *serve)
{
  serve->service = (TernHttpService) { .routes = routes, .n = G_N_ELEMENTS (routes), .admit = tern_serve_admit,
    .refusal_body = refusal_body, .answered = answered, .data = serve };
}
