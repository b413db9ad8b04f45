/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* MQTT, by libmosquitto. A thread connects and reads; everything else is done on the main thread, to which it takes what
 * happens.
 *
 * Each connection is a new client with a clean session, so that libmosquitto never has a message of its own to send again:
 * what is on its way when a connection breaks may or may not be at the broker. All that is told is retained and has its id in
 * it, so the broker is asked: the first entry's topic is subscribed to, what is retained there comes, and then the answer to
 * a second subscription, which says that nothing more is to come. */
#include "watch/teller.h"

#include <errno.h>
#include <mosquitto.h>
#include <string.h>

#include "tern/error.h"

#define KEEPALIVE 30
#define LOOP_MS 500
#define GOODBYE_SECONDS 2
#define RETRY_FIRST 1
#define RETRY_MOST 8

/* Counted: by the teller, the thread, and what is on its way to the main thread. */
typedef struct {
  TernTeller *teller;           /* the main thread's, as all up to the lock; NULL: closed */
  char *host, *user, *password, *ca_file, *client, *status, *birth;
  guint port;
  gboolean connected, checked;  /* there is a connection; it was asked for what it has */
  GHashTable *told;             /* why there is no connection, as was said; char* -> itself */
  char *topic, *message;        /* of the entry that is on its way */
  gint64 id;
  int fence, published;         /* message ids: of the second subscription, of the entry */

  GMutex lock;
  GCond changed;
  gboolean stop, over;          /* it shall end; it has */
  struct mosquitto *client_now; /* NULL: not connected */
} Mqtt;

typedef enum { CONNECTED, LOST, PUBLISHED, SUBSCRIBED, MESSAGE } EventKind;

/* Something that happened in the thread. */
typedef struct {
  Mqtt *mqtt;
  EventKind kind;
  int mid;
  char *topic, *text;           /* of a message; why it was lost */
} Event;

static void
mqtt_clear (gpointer data)
{
  Mqtt *mqtt = data;

  g_hash_table_unref (mqtt->told);
  g_free (mqtt->host);
  g_free (mqtt->user);
  g_free (mqtt->password);
  g_free (mqtt->ca_file);
  g_free (mqtt->client);
  g_free (mqtt->status);
  g_free (mqtt->birth);
  g_free (mqtt->topic);
  g_free (mqtt->message);
  g_mutex_clear (&mqtt->lock);
  g_cond_clear (&mqtt->changed);
}

static void
mqtt_unref (Mqtt *mqtt)
{
  g_atomic_rc_box_release_full (mqtt, mqtt_clear);
}

/* ---- On the main thread ---- */

/* FALSE: the connection is gone, of which we shall hear. */
static gboolean
publish (Mqtt *mqtt, const char *topic, const char *payload, int *mid)
{
  gboolean ok;

  g_mutex_lock (&mqtt->lock);
  ok = mqtt->client_now && mosquitto_publish (mqtt->client_now, mid, topic, payload ? (int) strlen (payload) : 0, payload, 1,
      true) == MOSQ_ERR_SUCCESS;
  g_mutex_unlock (&mqtt->lock);
  return ok;
}

static void
subscribe (Mqtt *mqtt, const char *topic, int *mid)
{
  g_mutex_lock (&mqtt->lock);
  if (mqtt->client_now)
    mosquitto_subscribe (mqtt->client_now, mid, topic, 0);
  g_mutex_unlock (&mqtt->lock);
}

static void
unsubscribe (Mqtt *mqtt, const char *topic)
{
  g_mutex_lock (&mqtt->lock);
  if (mqtt->client_now)
    mosquitto_unsubscribe (mqtt->client_now, NULL, topic);
  g_mutex_unlock (&mqtt->lock);
}

static void
say_hello (Mqtt *mqtt)
{
  g_autoptr (GPtrArray) hello = tern_teller_hello (mqtt->teller);

  for (guint i = 0; i + 1 < hello->len; i += 2)
    publish (mqtt, g_ptr_array_index (hello, i), g_ptr_array_index (hello, i + 1), NULL);
}

static void
on_connected (Mqtt *mqtt)
{
  mqtt->connected = TRUE;
  g_hash_table_remove_all (mqtt->told);
  mqtt->checked = FALSE;
  mqtt->published = mqtt->fence = -1;
  say_hello (mqtt);
  publish (mqtt, mqtt->status, "online", NULL);
  if (mqtt->birth)
    subscribe (mqtt, mqtt->birth, NULL);
  tern_teller_say (mqtt->teller, "connected with %s:%u", mqtt->host, mqtt->port);
  tern_teller_ready (mqtt->teller, TRUE);
}

/* Each reason is said once, until there is a connection. */
static void
on_lost (Mqtt *mqtt, const char *why)
{
  if (g_hash_table_add (mqtt->told, g_strdup (why)))
    tern_teller_say (mqtt->teller, "%s:%u: %s; trying again and again", mqtt->host, mqtt->port, why);
  mqtt->connected = FALSE;
  tern_teller_ready (mqtt->teller, FALSE);
  tern_teller_later (mqtt->teller);
}

static void
publish_entry (Mqtt *mqtt)
{
  publish (mqtt, mqtt->topic, mqtt->message, &mqtt->published);
}

/* The broker has said all that it retains: what is on its way is not among it. */
static void
on_fence (Mqtt *mqtt)
{
  unsubscribe (mqtt, mqtt->topic);
  mqtt->checked = TRUE;
  mqtt->fence = -1;
  publish_entry (mqtt);
}

static void
on_retained (Mqtt *mqtt, const char *topic, const char *text)
{
  if (mqtt->birth && strcmp (topic, mqtt->birth) == 0) {
    if (strcmp (text, "online") == 0)
      say_hello (mqtt);
    return;
  }
  /* Anything else is of before, or of another memory. */
  if (mqtt->checked || !mqtt->topic || strcmp (topic, mqtt->topic) != 0 || strcmp (text, mqtt->message) != 0)
    return;
  unsubscribe (mqtt, mqtt->topic);
  mqtt->checked = TRUE;
  mqtt->fence = -1;
  tern_teller_done (mqtt->teller, mqtt->id);
}

static void
take_event (Mqtt *mqtt, const Event *event)
{
  switch (event->kind) {
    case CONNECTED:
      on_connected (mqtt);
      break;
    case LOST:
      on_lost (mqtt, event->text);
      break;
    case PUBLISHED:
      if (event->mid == mqtt->published) {
        mqtt->published = -1;
        tern_teller_done (mqtt->teller, mqtt->id);
      }
      break;
    case SUBSCRIBED:
      if (event->mid == mqtt->fence)
        on_fence (mqtt);
      break;
    case MESSAGE:
      on_retained (mqtt, event->topic, event->text);
      break;
  }
}

static gboolean
on_event (gpointer data)
{
  Event *event = data;

  if (event->mqtt->teller)
    take_event (event->mqtt, event);
  return G_SOURCE_REMOVE;
}

static void
event_free (gpointer data)
{
  Event *event = data;

  mqtt_unref (event->mqtt);
  g_free (event->topic);
  g_free (event->text);
  g_free (event);
}

static void
post (Mqtt *mqtt, EventKind kind, int mid, const char *topic, char *text)
{
  Event *event = g_new0 (Event, 1);

  event->mqtt = g_atomic_rc_box_acquire (mqtt);
  event->kind = kind;
  event->mid = mid;
  event->topic = g_strdup (topic);
  event->text = text;
  g_idle_add_full (G_PRIORITY_DEFAULT, on_event, event, event_free);
}

/* ---- In the thread ---- */

static void
connected (struct mosquitto *client, void *data, int rc)
{
  if (rc == 0)
    post (data, CONNECTED, 0, NULL, NULL);
  else
    mosquitto_disconnect (client);
}

static void
published (struct mosquitto *client, void *data, int mid)
{
  post (data, PUBLISHED, mid, NULL, NULL);
}

static void
subscribed (struct mosquitto *client, void *data, int mid, int n, const int *granted)
{
  post (data, SUBSCRIBED, mid, NULL, NULL);
}

static void
message_came (struct mosquitto *client, void *data, const struct mosquitto_message *message)
{
  post (data, MESSAGE, 0, message->topic, g_strndup (message->payload ? message->payload : "", (gsize) message->payloadlen));
}

/* FALSE: what is said would not be said as it was asked for, under cover and by name; then nothing is said. */
static gboolean
set_access (Mqtt *mqtt, struct mosquitto *client, char **why)
{
  int rc = mqtt->ca_file ? mosquitto_tls_set (client, mqtt->ca_file, NULL, NULL, NULL, NULL) : MOSQ_ERR_SUCCESS;

  if (rc != MOSQ_ERR_SUCCESS) {
    *why = g_strdup_printf ("ca-file %s: expected certificates, found %s", mqtt->ca_file, rc == MOSQ_ERR_INVAL
        ? "nothing that can be read" : mosquitto_strerror (rc));
    return FALSE;
  }
  rc = mqtt->user ? mosquitto_username_pw_set (client, mqtt->user, mqtt->password) : MOSQ_ERR_SUCCESS;
  if (rc == MOSQ_ERR_SUCCESS)
    return TRUE;
  *why = g_strdup_printf ("user %s: %s", mqtt->user, mosquitto_strerror (rc));
  return FALSE;
}

/* NULL: *@why (transfer full) says why there is none. */
static struct mosquitto *
make_client (Mqtt *mqtt, char **why)
{
  struct mosquitto *client = mosquitto_new (mqtt->client, true, mqtt);

  if (!client) {
    *why = g_strdup (g_strerror (errno));
    return NULL;
  }
  mosquitto_threaded_set (client, true);
  mosquitto_connect_callback_set (client, connected);
  mosquitto_publish_callback_set (client, published);
  mosquitto_subscribe_callback_set (client, subscribed);
  mosquitto_message_callback_set (client, message_came);
  mosquitto_will_set (client, mqtt->status, strlen ("offline"), "offline", 1, true);
  if (set_access (mqtt, client, why))
    return client;
  mosquitto_destroy (client);
  return NULL;
}

static gboolean
is_stopped (Mqtt *mqtt, struct mosquitto *client)
{
  gboolean stop;

  g_mutex_lock (&mqtt->lock);
  stop = mqtt->stop;
  mqtt->client_now = client;
  g_mutex_unlock (&mqtt->lock);
  return stop;
}

/* The broker gets what was published before, and then our leave. */
static void
say_goodbye (struct mosquitto *client)
{
  mosquitto_disconnect (client);
  while (mosquitto_loop (client, LOOP_MS, 1) == MOSQ_ERR_SUCCESS);
}

/* One connection, to its end: why it ended (transfer full), or NULL when we are stopped. */
static char *
hold_connection (Mqtt *mqtt)
{
  char *why = NULL;
  struct mosquitto *client = make_client (mqtt, &why);
  int rc;

  if (!client)
    return why;
  rc = mosquitto_connect (client, mqtt->host, (int) mqtt->port, KEEPALIVE);
  while (rc == MOSQ_ERR_SUCCESS && !is_stopped (mqtt, client))
    rc = mosquitto_loop (client, LOOP_MS, 1);
  if (rc == MOSQ_ERR_SUCCESS)
    say_goodbye (client);
  else
    why = g_strdup (rc == MOSQ_ERR_ERRNO ? g_strerror (errno) : rc == MOSQ_ERR_NO_CONN ? "it does not take us"
        : mosquitto_strerror (rc));
  g_mutex_lock (&mqtt->lock);
  mqtt->client_now = NULL;
  g_cond_signal (&mqtt->changed);
  g_mutex_unlock (&mqtt->lock);
  mosquitto_destroy (client);
  return why;
}

/* FALSE: it is over. */
static gboolean
wait_seconds (Mqtt *mqtt, guint seconds)
{
  gint64 end = g_get_monotonic_time () + seconds * G_USEC_PER_SEC;
  gboolean stop;

  g_mutex_lock (&mqtt->lock);
  while (!mqtt->stop && g_cond_wait_until (&mqtt->changed, &mqtt->lock, end));
  stop = mqtt->stop;
  g_mutex_unlock (&mqtt->lock);
  return !stop;
}

static gpointer
run (gpointer data)
{
  guint seconds = RETRY_FIRST;
  Mqtt *mqtt = data;

  do {
    gint64 began = g_get_monotonic_time ();
    char *why = hold_connection (mqtt);

    if (!why)
      break;
    post (mqtt, LOST, 0, NULL, why);
    if (g_get_monotonic_time () - began > RETRY_MOST * G_USEC_PER_SEC)
      seconds = RETRY_FIRST;
    if (!wait_seconds (mqtt, seconds))
      break;
    seconds = MIN (2 * seconds, RETRY_MOST);
  } while (TRUE);
  g_mutex_lock (&mqtt->lock);
  mqtt->over = TRUE;
  g_cond_signal (&mqtt->changed);
  g_mutex_unlock (&mqtt->lock);
  mqtt_unref (mqtt);
  return NULL;
}

/* ---- The transport ---- */

static gpointer
mqtt_open (const TernSinkConfig *config, TernTeller *teller, GError **error)
{
  static gsize ready;
  Mqtt *mqtt;

  if (g_once_init_enter (&ready)) {
    mosquitto_lib_init ();
    g_once_init_leave (&ready, 1);
  }
  mqtt = g_atomic_rc_box_new0 (Mqtt);
  mqtt->teller = teller;
  mqtt->told = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  mqtt->host = g_strdup (config->host);
  mqtt->port = config->port;
  mqtt->user = g_strdup (config->user);
  mqtt->password = g_strdup (config->password);
  mqtt->ca_file = g_strdup (config->ca_file);
  mqtt->client = g_strdup (config->client);
  mqtt->status = g_strconcat (config->prefix, "/status", NULL);
  mqtt->birth = config->discovery ? g_strconcat (config->discovery, "/status", NULL) : NULL;
  mqtt->published = mqtt->fence = -1;
  g_mutex_init (&mqtt->lock);
  g_cond_init (&mqtt->changed);
  g_thread_unref (g_thread_new ("tern-mqtt", run, g_atomic_rc_box_acquire (mqtt)));
  return mqtt;
}

static void
mqtt_send (gpointer transport, const TernSpoolEntry *entry)
{
  Mqtt *mqtt = transport;

  g_free (mqtt->topic);
  g_free (mqtt->message);
  mqtt->topic = g_strconcat (tern_teller_config (mqtt->teller)->prefix, "/", entry->topic, NULL);
  mqtt->message = tern_spool_message (entry);
  mqtt->id = entry->id;
  if (mqtt->checked) {
    publish_entry (mqtt);
    return;
  }
  subscribe (mqtt, mqtt->topic, NULL);
  subscribe (mqtt, mqtt->status, &mqtt->fence);
}

/* A thread that is connected says goodbye first, for which a while is waited. One that tries to connect may be at it for
 * minutes, and is nothing to wait for. */
static void
mqtt_close (gpointer transport)
{
  gint64 end = g_get_monotonic_time () + GOODBYE_SECONDS * G_USEC_PER_SEC;
  Mqtt *mqtt = transport;

  mqtt->teller = NULL;
  g_mutex_lock (&mqtt->lock);
  mqtt->stop = TRUE;
  g_cond_signal (&mqtt->changed);
  if (mqtt->client_now)         /* wakes it up; the will is for those who do not come so far */
    mosquitto_publish (mqtt->client_now, NULL, mqtt->status, strlen ("offline"), "offline", 0, true);
  while (mqtt->client_now && !mqtt->over && g_cond_wait_until (&mqtt->changed, &mqtt->lock, end));
  g_mutex_unlock (&mqtt->lock);
  mqtt_unref (mqtt);
}

const TernTransport tern_transport_mqtt = { mqtt_open, mqtt_send, mqtt_close };
