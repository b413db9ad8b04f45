/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is told, one entry of the spool after the other: the next one is sent when the one before is where it should be, so
 * what is told is told in order, and at most one entry can be there without our knowing it. A transport that can be asked
 * for what it has (a broker's retained messages, the end of a file) is asked before that one is sent again.
 * On the thread of the default main context. */
#pragma once

#include "watch/config.h"
#include "watch/spool.h"

G_BEGIN_DECLS

typedef struct _TernTeller TernTeller;

/* One way of telling; a file each. */
typedef struct {
  /* NULL with @error: this cannot be done here. */
  gpointer (*open) (const TernSinkConfig *config, TernTeller *teller, GError **error);
  /* Sends @entry, of the spool, which is borrowed for the call. Afterwards, or from within, one of tern_teller_done() and
   * tern_teller_later() is called. */
  void (*send) (gpointer transport, const TernSpoolEntry *entry);
  void (*close) (gpointer transport);
} TernTransport;

extern const TernTransport tern_transport_lines;
#ifdef TERN_HAVE_MQTT
extern const TernTransport tern_transport_mqtt;
#endif
#ifdef TERN_HAVE_WEBHOOK
extern const TernTransport tern_transport_webhook;
#endif

typedef struct {
  void (*say) (gpointer data, const char *what);
  /* The receiver is there: what it should know before all else, pairs of topic and payload (NULL payload: no longer), for
   * transports that have topics. (transfer full) (element-type char*) */
  GPtrArray *(*hello) (gpointer data, const TernSinkConfig *config);
} TernTellerFuncs;

/* @config, @memory and @funcs must live as long. */
TernTeller *tern_teller_new (const TernSinkConfig *config, TernWatchMemory *memory, const TernTellerFuncs *funcs, gpointer data,
    GError **error);
void tern_teller_free (gpointer teller);
const TernSinkConfig *tern_teller_config (const TernTeller *teller);
/* There may be something in the spool. */
void tern_teller_kick (TernTeller *teller);
/* Whether there is nothing. */
gboolean tern_teller_is_idle (TernTeller *teller);

/* For transports. */
void tern_teller_ready (TernTeller *teller, gboolean ready);    /* whether sending makes sense; FALSE at first */
void tern_teller_done (TernTeller *teller, gint64 id);          /* it has the entry, or will never take it */
void tern_teller_later (TernTeller *teller);                    /* it does not; ready says when to try again */
void tern_teller_say (TernTeller *teller, const char *format, ...) G_GNUC_PRINTF (2, 3);
GPtrArray *tern_teller_hello (TernTeller *teller);

G_END_DECLS
