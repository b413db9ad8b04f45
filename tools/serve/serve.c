/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/serve/serve.h"

#include <signal.h>
#include <string.h>

#include <glib-unix.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "engine/decode/draft.h"
#include "tern/error.h"
#include "tools/tool.h"

#define LISTEN "127.0.0.1:8080"
#define WORKERS 2               /* read requests and decode pictures: as much as there is to decode at a time */
#define MEGA ((gsize) 1 << 20)
#define ARENAS 2                /* of the C library's heap */

typedef struct {
  char *model, *mmproj, *listen, *key_file, *certificate, *private_key, *prompt_use, *draft, *draft_vocabulary;
  char **aliases;
  gint threads, context, parallel, waiting, timeout, max_tokens, max_body, max_pictures, max_pixels, video_frames, cache;
} Options;

typedef struct {
  const Options *options;
  TernServe serve;
  GMainLoop *loop;
  TernModel *model;             /* the loading thread's, until it was loaded, */
  TernDrafter *drafter;         /* and what guesses for it; NULL: nobody */
  GError *error;                /* ... or why it was not */
  GThread *loader;
  int status;
} Program;

/* ---- The model --------------------------------------------------------------------------------------------------- */

/* Without an encoder beside it, and none asked for, a model reads texts alone. */
static TernModel *
open_model (const Options *o, GError **error)
{
  TernModelParams params = TERN_MODEL_PARAMS_INIT;
  g_autoptr (GError) failure = NULL;
  TernModel *model;

  params.model_path = o->model;
  params.mmproj_path = o->mmproj;
  params.threads = (guint) o->threads;
  params.context = (guint) o->context;
  model = tern_model_open (&params, &failure);
  if (!model && !o->mmproj && g_error_matches (failure, TERN_ERROR, TERN_ERROR_NOT_FOUND)) {
    params.parts = TERN_MODEL_TEXT;
    model = tern_model_open (&params, NULL);
  }
  if (!model)
    g_propagate_error (error, g_steal_pointer (&failure));
  return model;
}

/* ---- Warming up ---- */

typedef struct {
  GMutex lock;
  GCond changed;
  gboolean over;
} Warming;

static void
warmed (void *data, TernCompletion *completion, const TernCompletionEvent *event)
{
  Warming *warming = data;

  if (!event->last)
    return;
  g_mutex_lock (&warming->lock);
  warming->over = TRUE;
  g_cond_signal (&warming->changed);
  g_mutex_unlock (&warming->lock);
}

/* One answer about a grey picture: what is made when it is first needed is there before the first client is. An error of it
 * is one that clients will be told. */
static void
warm_up (TernModel *model, TernDrafter *drafter)
{
  static const char seen[] = "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"}]}]}";
  static const char said[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}";
  gboolean sees = tern_model_frame_tokens (model) > 0;
  g_autofree guint8 *grey = g_malloc (256 * 256);
  TernImage image = { .format = TERN_IMAGE_GRAY8, .width = 256, .height = 256, .data = { grey }, .stride = { 256 } };
  g_autoptr (TernView) view = NULL;
  g_autoptr (TernCompletion) completion = NULL;
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;
  Warming warming = { .over = FALSE };

  memset (grey, 128, 256 * 256);
  view = sees ? tern_view_new_still (model, &image, NULL) : NULL;
  params.chat = view ? seen : said;
  params.views = &view;
  params.n_views = view != NULL;
  params.sampling.max_tokens = 1;
  params.drafter = drafter;
  params.func = warmed;
  params.func_data = &warming;
  if (!(completion = tern_completion_new (model, &params, NULL)))
    return;
  g_mutex_init (&warming.lock);
  g_cond_init (&warming.changed);
  tern_completion_start (completion);
  g_mutex_lock (&warming.lock);
  while (!warming.over)
    g_cond_wait (&warming.changed, &warming.lock);
  g_mutex_unlock (&warming.lock);
  g_clear_pointer (&completion, tern_completion_free);
  g_mutex_clear (&warming.lock);
  g_cond_clear (&warming.changed);
}

/* "Tern Captioner 4M" -> "tern-captioner-4m": what people can type. */
static char *
plain_name (const char *name)
{
  g_autofree char *low = g_ascii_strdown (name, -1);

  return g_strcanon (g_strdup (*low ? low : "model"), G_CSET_a_2_z G_CSET_DIGITS "._", '-');
}

static void
take_names (TernServe *serve, const Options *o)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  TernModel *model = serve->capacity.model;
  g_autofree char *file = g_path_get_basename (tern_model_path (model));

  for (char **alias = o->aliases; alias && *alias; alias++)
    g_ptr_array_add (names, g_strdup (*alias));
  g_ptr_array_add (names, plain_name (tern_model_name (model)));
  g_ptr_array_add (names, g_strdup (file));
  if (g_str_has_suffix (file, ".gguf"))
    g_ptr_array_add (names, g_strndup (file, strlen (file) - strlen (".gguf")));
  g_ptr_array_add (names, g_strdup ("tern"));
  g_ptr_array_add (names, NULL);
  g_strfreev (serve->names);
  serve->names = (char **) g_ptr_array_free (g_steal_pointer (&names), FALSE);
  serve->capacity.names = (const char *const *) serve->names;
}

/* In the main loop. */
static gboolean
was_loaded (gpointer data)
{
  Program *program = data;
  TernServe *serve = &program->serve;
  const char *use = program->options->prompt_use;

  if (program->error) {
    program->status = tern_tool_fail (&program->error);
    g_main_loop_quit (program->loop);
    return G_SOURCE_REMOVE;
  }
  if (tern_model_frame_tokens (program->model) > 0)
    serve->capacity.pictures = tern_pictures_new (program->model, &serve->pictures);
  serve->capacity.prompt_use = !use ? tern_model_prompt_use (program->model)
      : g_str_equal (use, "ignored") ? TERN_PROMPT_IGNORED : TERN_PROMPT_READ;
  serve->capacity.model = program->model;
  serve->capacity.drafter = program->drafter;
  take_names (serve, program->options);
  tern_tool_message ("%s is ready%s%s", serve->names[0], serve->capacity.pictures ? "" : ", for text alone",
      serve->capacity.prompt_use == TERN_PROMPT_IGNORED ? "; it describes pictures, whatever it is asked" : "");
  return G_SOURCE_REMOVE;
}

/* The option was checked. */
static TernDraftVocabulary
draft_vocabulary (const Options *o)
{
  TernDraftScheme scheme = TERN_DRAFT_AUTO;

  if (o->draft_vocabulary)
    tern_draft_scheme_parse (o->draft_vocabulary, &scheme);
  return (TernDraftVocabulary) scheme;
}

static gpointer
load (gpointer data)
{
  Program *program = data;
  const Options *o = program->options;

  program->model = open_model (o, &program->error);
  if (program->model && o->draft)
    program->drafter = tern_drafter_new (program->model, o->draft, draft_vocabulary (o), &program->error);
  if (!program->error)
    warm_up (program->model, program->drafter);
  g_idle_add (was_loaded, program);
  return NULL;
}

/* ---- Running ----------------------------------------------------------------------------------------------------- */

static gboolean
stop (gpointer data)
{
  Program *program = data;

  program->status = TERN_TOOL_DONE;
  g_main_loop_quit (program->loop);
  return G_SOURCE_CONTINUE;
}

static gboolean
start (Program *program, GError **error)
{
  const Options *o = program->options;
  TernServe *serve = &program->serve;
  TernHttpOptions http = { .listen = o->listen ? o->listen : LISTEN, .key_file = o->key_file, .certificate = o->certificate,
    .private_key = o->private_key, .max_body = (gsize) o->max_body * MEGA, .max_bodies = (gsize) o->max_body * MEGA * 8 };
  g_autofree char *address = NULL;

  tern_serve_fill_service (serve);
  if (!(serve->http = tern_http_new (&http, &serve->service, error)))
    return FALSE;
  serve->workers = g_thread_pool_new (tern_serve_work, serve, WORKERS, TRUE, error);
  if (!serve->workers)
    return FALSE;
  address = tern_http_address (serve->http);
  tern_tool_message ("listening at %s", address);
  program->loader = g_thread_new ("tern-load", load, program);
  return TRUE;
}

static void
run (Program *program)
{
  guint interrupt = g_unix_signal_add (SIGINT, stop, program), terminate = g_unix_signal_add (SIGTERM, stop, program);

  signal (SIGPIPE, SIG_IGN);
  g_main_loop_run (program->loop);
  g_source_remove (interrupt);
  g_source_remove (terminate);
}

static void
finish (Program *program)
{
  TernServe *serve = &program->serve;

  tern_serve_end_jobs (serve);
  g_clear_pointer (&serve->http, tern_http_free);
  if (serve->workers)
    g_thread_pool_free (serve->workers, FALSE, TRUE);
  if (program->loader)
    g_thread_join (program->loader);
  tern_pictures_free (serve->capacity.pictures);
  tern_drafter_unref (program->drafter);
  tern_model_unref (program->model);
  tern_metrics_clear (&serve->metrics);
  g_ptr_array_unref (serve->jobs);
  g_strfreev (serve->names);
  g_clear_error (&program->error);
  g_main_loop_unref (program->loop);
}

/* What one thread takes and another gives back would be kept for each thread apart, and grow for hours. */
static void
share_heap (void)
{
#ifdef M_ARENA_MAX
  mallopt (M_ARENA_MAX, ARENAS);
#endif
}

static int
serve_model (const Options *o)
{
  Program program = { .options = o, .status = TERN_TOOL_FAILED, .loop = g_main_loop_new (NULL, FALSE) };
  TernServe *serve = &program.serve;
  g_autoptr (GError) error = NULL;

  share_heap ();
  serve->limits = (TernServeLimits) { (guint) o->parallel, (guint) o->waiting, (guint) o->timeout };
  serve->pictures = (TernPictureLimits) { (guint64) o->max_pixels * 1000000, (guint) o->video_frames,
    (gsize) o->cache * MEGA };
  serve->capacity.max_tokens = (guint) o->max_tokens;
  serve->capacity.max_pictures = (guint) o->max_pictures;
  serve->names = g_strsplit ("tern", " ", -1);
  serve->capacity.names = (const char *const *) serve->names;
  serve->started = g_get_real_time () / G_USEC_PER_SEC;
  serve->jobs = g_ptr_array_new ();
  g_queue_init (&serve->waiting);
  tern_metrics_init (&serve->metrics);
  if (start (&program, &error))
    run (&program);
  else
    program.status = tern_tool_fail (&error);
  finish (&program);
  return program.status;
}

/* ---- Options ----------------------------------------------------------------------------------------------------- */

static int
check_range (const char *option, gint value, gint least, gint most)
{
  return value >= least && value <= most ? TERN_TOOL_DONE
      : tern_tool_usage ("--%s: expected %d to %d, found %d", option, least, most, value);
}

static int
check (const Options *o)
{
  const struct { const char *name; gint value, least, most; } numbers[] = {
    { "context", o->context, 0, G_MAXINT }, { "parallel", o->parallel, 1, 1024 }, { "queue", o->waiting, 0, 65536 },
    { "timeout", o->timeout, 1, 86400 }, { "max-tokens", o->max_tokens, TERN_MAX_TOKENS_MIN, TERN_MAX_TOKENS_MAX },
    { "max-body", o->max_body, 1, 1024 }, { "max-images", o->max_pictures, 1, TERN_VIEWS_MAX },
    { "max-pixels", o->max_pixels, 1, 268 }, { "video-frames", o->video_frames, 1, 256 },
    { "image-cache", o->cache, 0, 65536 },
  };
  int status = tern_tool_check_threads (o->threads) ? TERN_TOOL_DONE : TERN_TOOL_USAGE;
  TernDraftScheme scheme;

  for (guint i = 0; i < G_N_ELEMENTS (numbers) && status == TERN_TOOL_DONE; i++)
    status = check_range (numbers[i].name, numbers[i].value, numbers[i].least, numbers[i].most);
  if (status == TERN_TOOL_DONE && o->prompt_use && !g_str_equal (o->prompt_use, "read")
      && !g_str_equal (o->prompt_use, "ignored"))
    status = tern_tool_usage ("--prompt: expected read or ignored, found %s", o->prompt_use);
  if (status == TERN_TOOL_DONE && o->draft_vocabulary && !tern_draft_scheme_parse (o->draft_vocabulary, &scheme))
    status = tern_tool_usage ("--draft-vocabulary: expected auto, same, tli or slem, found %s", o->draft_vocabulary);
  if (status == TERN_TOOL_DONE && o->draft_vocabulary && !o->draft)
    status = tern_tool_usage ("--draft-vocabulary: expected --draft-model F with it, found %s alone", o->draft_vocabulary);
  return status;
}

static void
options_clear (Options *o)
{
  g_free (o->model);
  g_free (o->mmproj);
  g_free (o->listen);
  g_free (o->key_file);
  g_free (o->certificate);
  g_free (o->private_key);
  g_free (o->prompt_use);
  g_free (o->draft);
  g_free (o->draft_vocabulary);
  g_strfreev (o->aliases);
}

int
tern_tool_serve (int argc, char **argv)
{
  Options o = { .parallel = 16, .waiting = 64, .timeout = 300, .max_tokens = 1024,
    .max_body = 32, .max_pictures = 64, .max_pixels = 50, .video_frames = 8, .cache = 128 };
  const GOptionEntry entries[] = {
    { "model", 0, 0, G_OPTION_ARG_FILENAME, &o.model, "GGUF file of the language model, or a folder with one", "F" },
    { "mmproj", 0, 0, G_OPTION_ARG_FILENAME, &o.mmproj, "GGUF file of the vision encoder", "F" },
    { "listen", 0, 0, G_OPTION_ARG_STRING, &o.listen, "Where (127.0.0.1:8080); port 0: any. Beyond this machine a key is "
        "needed", "HOST:PORT" },
    { "api-key-file", 0, 0, G_OPTION_ARG_FILENAME, &o.key_file, "Keys that clients may have, one a line", "F" },
    { "tls-certificate", 0, 0, G_OPTION_ARG_FILENAME, &o.certificate, "Certificate in PEM, for HTTPS", "F" },
    { "tls-key", 0, 0, G_OPTION_ARG_FILENAME, &o.private_key, "Its key in PEM", "F" },
    { "alias", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o.aliases, "What the model is called; the first one is its id", "NAME" },
    { "prompt", 0, 0, G_OPTION_ARG_STRING, &o.prompt_use, "What the model makes of instructions: read, or ignored (what the file "
        "says)", "USE" },
    { "draft-model", 0, 0, G_OPTION_ARG_FILENAME, &o.draft, "GGUF file of a small language model that guesses answers; they are "
        "the same without", "F" },
    { "draft-vocabulary", 0, 0, G_OPTION_ARG_STRING, &o.draft_vocabulary, "... whose vocabulary is the same, or not: auto "
        "(default), same, tli or slem", "KIND" },
    { "threads", 0, 0, G_OPTION_ARG_INT, &o.threads, "Threads; 0 = all cores (0)", "N" },
    { "context", 0, 0, G_OPTION_ARG_INT, &o.context, "Tokens of a prompt and its answer at most; 0 = the model's (0)", "N" },
    { "max-tokens", 0, 0, G_OPTION_ARG_INT, &o.max_tokens, "Tokens to say at most where a request does not say (1024)", "N" },
    { "parallel", 0, 0, G_OPTION_ARG_INT, &o.parallel, "Requests that are worked on at a time (16)", "N" },
    { "queue", 0, 0, G_OPTION_ARG_INT, &o.waiting, "Requests that wait beside them; more are told to come again (64)", "N" },
    { "timeout", 0, 0, G_OPTION_ARG_INT, &o.timeout, "Seconds for a request, waiting included (300)", "S" },
    { "max-body", 0, 0, G_OPTION_ARG_INT, &o.max_body, "MiB of a request (32)", "N" },
    { "max-images", 0, 0, G_OPTION_ARG_INT, &o.max_pictures, "Pictures of a request (64)", "N" },
    { "max-pixels", 0, 0, G_OPTION_ARG_INT, &o.max_pixels, "Million pixels of a picture (50)", "N" },
    { "video-frames", 0, 0, G_OPTION_ARG_INT, &o.video_frames, "Frames of a clip that are looked at (8)", "N" },
    { "image-cache", 0, 0, G_OPTION_ARG_INT, &o.cache, "MiB of pictures that are kept for the next turn (128)", "N" },
    { NULL }
  };
  g_auto (GStrv) rest = NULL;
  int status = TERN_TOOL_USAGE;

  if (tern_tool_options (argc, argv, NULL, 0, 0, "Answers chats with pictures over HTTP, as OpenAI's API has them.", entries,
          &rest) && (status = check (&o)) == TERN_TOOL_DONE)
    status = serve_model (&o);
  options_clear (&o);
  return status;
}
