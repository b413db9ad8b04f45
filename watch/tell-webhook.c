/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Webhooks: a POST of JSON for each entry, signed. The receiver may get one twice, when its answer was lost; X-Tern-Id is the
 * same then. */
#include "watch/teller.h"

#include <libsoup/soup.h>
#include <string.h>

#include "watch/said.h"
#include "watch/times.h"

#define TIMEOUT_SECONDS 30
#define RETRY_FIRST 1
#define RETRY_MOST 60

/* Counted: an answer may come when it is closed. */
typedef struct {
  TernTeller *teller;           /* NULL: closed */
  char *url, *secret;
  SoupSession *session;
  GCancellable *cancel;
  gint64 id;                    /* on its way */
  guint wait;                   /* seconds until the next try after a failure */
  guint retry;                  /* source */
  TernSaid said;
} Webhook;

static gpointer
webhook_open (const TernSinkConfig *config, TernTeller *teller, GError **error)
{
  Webhook *hook = g_rc_box_new0 (Webhook);

  hook->teller = teller;
  hook->url = g_strdup (config->url);
  hook->secret = g_strdup (config->secret);
  hook->session = soup_session_new_with_options ("timeout", TIMEOUT_SECONDS, "user-agent", "tern/" TERN_VERSION, NULL);
  hook->cancel = g_cancellable_new ();
  hook->wait = RETRY_FIRST;
  tern_teller_ready (teller, TRUE);
  return hook;
}

static void
webhook_clear (gpointer data)
{
  Webhook *hook = data;

  g_object_unref (hook->cancel);
  g_object_unref (hook->session);
  g_free (hook->url);
  g_free (hook->secret);
  tern_said_clear (&hook->said);
}

static gboolean
try_again (gpointer data)
{
  Webhook *hook = data;

  hook->retry = 0;
  tern_teller_ready (hook->teller, TRUE);
  return G_SOURCE_REMOVE;
}

static void
wait_for_it (Webhook *hook, const char *why)
{
  if (tern_said_lost (&hook->said, why, FALSE, g_get_monotonic_time ()))
    tern_teller_say (hook->teller, "%s; another try in %u s", why, hook->wait);
  tern_teller_ready (hook->teller, FALSE);
  tern_teller_later (hook->teller);
  hook->retry = g_timeout_add_seconds (hook->wait, try_again, hook);
  hook->wait = MIN (2 * hook->wait, RETRY_MOST);
}

/* What a receiver says of itself, and not of the message, may change. */
static gboolean
is_for_ever (guint status)
{
  return status >= 300 && status < 500 && status != 408 && status != 425 && status != 429;
}

/* It answers, whatever it says of this one. */
static void
note_receiver (Webhook *hook)
{
  gint64 now = g_get_monotonic_time (), away;
  g_autofree char *lasted = tern_watch_length (tern_said_away (&hook->said, now));
  gboolean lost = hook->said.since != 0;

  if (tern_said_back (&hook->said, now, &away) && lost)
    tern_teller_say (hook->teller, "is told again after %s", lasted);
}

static void
take_answer (Webhook *hook, guint status, const GError *error)
{
  g_autofree char *why = error ? g_strdup (error->message)
      : g_strdup_printf ("expected status 200 to 299, found %u", status);

  if (error || (status / 100 != 2 && !is_for_ever (status))) {
    wait_for_it (hook, why);
    return;
  }
  note_receiver (hook);
  if (status / 100 != 2)
    tern_teller_say (hook->teller, "%s: entry %" G_GINT64_FORMAT " is given up", why, hook->id);
  hook->wait = RETRY_FIRST;
  tern_teller_done (hook->teller, hook->id);
}

static void
on_answer (GObject *session, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  GInputStream *body = soup_session_send_finish (SOUP_SESSION (session), result, &error);
  SoupMessage *message = soup_session_get_async_result_message (SOUP_SESSION (session), result);
  Webhook *hook = data;

  if (hook->teller)
    take_answer (hook, soup_message_get_status (message), error);
  g_clear_object (&body);       /* nobody reads it */
  g_rc_box_release_full (hook, webhook_clear);
}

/* HMAC-SHA256 of TIME.BODY: whoever has not the secret cannot make one, and an old one is known to be old. */
static void
sign (const Webhook *hook, SoupMessageHeaders *headers, const char *body)
{
  g_autofree char *time = g_strdup_printf ("%" G_GINT64_FORMAT, g_get_real_time () / G_USEC_PER_SEC);
  g_autofree char *text = g_strconcat (time, ".", body, NULL);
  g_autofree char *hmac = NULL, *value = NULL;

  soup_message_headers_replace (headers, "X-Tern-Timestamp", time);
  if (!hook->secret)
    return;
  hmac = g_compute_hmac_for_string (G_CHECKSUM_SHA256, (const guint8 *) hook->secret, strlen (hook->secret), text, -1);
  value = g_strconcat ("sha256=", hmac, NULL);
  soup_message_headers_replace (headers, "X-Tern-Signature", value);
}

static void
set_body (SoupMessage *message, gpointer body)
{
  soup_message_set_request_body_from_bytes (message, "application/json", body);
}

static void
body_unref (gpointer body, GClosure *closure)
{
  g_bytes_unref (body);
}

static void
webhook_send (gpointer transport, const TernSpoolEntry *entry)
{
  Webhook *hook = transport;
  g_autofree char *text = tern_spool_message (entry);
  g_autofree char *id = g_strdup_printf ("%" G_GINT64_FORMAT, entry->id);
  g_autoptr (SoupMessage) message = soup_message_new (SOUP_METHOD_POST, hook->url);
  g_autoptr (GBytes) body = g_bytes_new (text, strlen (text));

  hook->id = entry->id;
  if (!message) {
    wait_for_it (hook, "its address cannot be read");
    return;
  }
  soup_message_set_flags (message, SOUP_MESSAGE_NO_REDIRECT);
  soup_message_headers_replace (soup_message_get_request_headers (message), "X-Tern-Id", id);
  sign (hook, soup_message_get_request_headers (message), text);
  set_body (message, body);
  /* Who wants to know who we are is told in a second request, whose body is not sent again by itself. */
  g_signal_connect_data (message, "restarted", G_CALLBACK (set_body), g_bytes_ref (body), body_unref, 0);
  soup_session_send_async (hook->session, message, G_PRIORITY_DEFAULT, hook->cancel, on_answer,
      g_rc_box_acquire (hook));
}

static void
webhook_close (gpointer transport)
{
  Webhook *hook = transport;

  if (hook->retry)
    g_source_remove (hook->retry);
  hook->teller = NULL;
  g_cancellable_cancel (hook->cancel);
  g_rc_box_release_full (hook, webhook_clear);
}

const TernTransport tern_transport_webhook = { webhook_open, webhook_send, webhook_close };
