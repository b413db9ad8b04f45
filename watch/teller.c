/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/teller.h"

#include "tern/error.h"

struct _TernTeller {
  const TernSinkConfig *config;
  char *name;
  TernWatchMemory *memory;
  const TernTellerFuncs *funcs;
  gpointer data;
  const TernTransport *transport;
  gpointer open;
  gboolean ready;
  gint64 sent;                  /* entry on its way; 0: none */
  gint64 done;                  /* it is where it should be, which the memory could not be told; 0: none */
  gboolean kicking;             /* tern_teller_kick() is at it */
};

static const TernTransport *
find_transport (TernSinkKind kind, GError **error)
{
  switch (kind) {
    case TERN_SINK_LINES:
      return &tern_transport_lines;
#ifdef TERN_HAVE_MQTT
    case TERN_SINK_MQTT:
      return &tern_transport_mqtt;
#endif
#ifdef TERN_HAVE_WEBHOOK
    case TERN_SINK_WEBHOOK:
      return &tern_transport_webhook;
#endif
    default:
      g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "this build cannot tell in this way");
      return NULL;
  }
}

TernTeller *
tern_teller_new (const TernSinkConfig *config, TernWatchMemory *memory, const TernTellerFuncs *funcs, gpointer data, GError **error)
{
  const TernTransport *transport = find_transport (config->kind, error);
  TernTeller *teller;

  if (!transport)
    return NULL;
  teller = g_new0 (TernTeller, 1);
  teller->config = config;
  teller->name = g_strdup (config->name);
  teller->memory = memory;
  teller->funcs = funcs;
  teller->data = data;
  teller->transport = transport;
  teller->open = transport->open (config, teller, error);
  if (!teller->open) {
    tern_teller_free (teller);
    return NULL;
  }
  tern_teller_kick (teller);
  return teller;
}

void
tern_teller_free (gpointer data)
{
  TernTeller *teller = data;

  if (!teller)
    return;
  if (teller->open)
    teller->transport->close (teller->open);
  g_free (teller->name);
  g_free (teller);
}

const TernSinkConfig *
tern_teller_config (const TernTeller *teller)
{
  return teller->config;
}

gboolean
tern_teller_is_idle (TernTeller *teller)
{
  TernSpoolEntry entry;
  gboolean idle;

  idle = tern_spool_first (teller->memory, teller->name, &entry, NULL) && entry.id == 0;
  tern_spool_entry_clear (&entry);
  return idle;
}

/* FALSE: the memory does not take it, and the entry would be told again; the next kick tries again. */
static gboolean
settle (TernTeller *teller)
{
  g_autoptr (GError) error = NULL;

  if (teller->done && !tern_spool_done (teller->memory, teller->done, &error)) {
    tern_teller_say (teller, "%s", error->message);
    return FALSE;
  }
  teller->done = 0;
  return TRUE;
}

/* Not by recursion: a transport that is done at once calls back from within. */
void
tern_teller_kick (TernTeller *teller)
{
  if (teller->kicking)
    return;
  teller->kicking = TRUE;
  while (teller->open && teller->ready && !teller->sent && settle (teller)) {
    g_autoptr (GError) error = NULL;
    TernSpoolEntry entry;

    if (!tern_spool_first (teller->memory, teller->name, &entry, &error))
      tern_teller_say (teller, "%s", error->message);
    if (entry.id == 0)
      break;
    teller->sent = entry.id;
    teller->transport->send (teller->open, &entry);
    tern_spool_entry_clear (&entry);
  }
  teller->kicking = FALSE;
}

void
tern_teller_ready (TernTeller *teller, gboolean ready)
{
  teller->ready = ready;
  if (ready)
    tern_teller_kick (teller);
}

void
tern_teller_done (TernTeller *teller, gint64 id)
{
  if (id != teller->sent)
    return;
  teller->sent = 0;
  teller->done = id;
  if (settle (teller))
    tern_teller_kick (teller);
}

void
tern_teller_later (TernTeller *teller)
{
  teller->sent = 0;
}

void
tern_teller_say (TernTeller *teller, const char *format, ...)
{
  g_autofree char *what = NULL, *text = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  text = g_strdup_printf ("%s: %s", teller->name, what);
  teller->funcs->say (teller->data, text);
}

GPtrArray *
tern_teller_hello (TernTeller *teller)
{
  return teller->funcs->hello (teller->data, teller->config);
}
