/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The page: what cameras see now, what they saw, what the model was not sure of, and how all of it goes. HTTP on a loopback
 * address (tools/http); on the thread of the default main context.
 *
 *   page.c           routes, pictures, events
 *   page-views.c     what the views show
 *   html.c           in which form
 */
#pragma once

#include "watch/service.h"

G_BEGIN_DECLS

typedef struct _TernPage TernPage;

/* Whether it can be at this address: one of this machine alone. INVALID says what is expected. */
gboolean tern_page_check (const char *listen, GError **error);
/* @service must live as long. @listen was checked. FAILED: it is in use. */
TernPage *tern_page_new (TernService *service, const char *listen, GError **error);
void tern_page_free (TernPage *page);
/* About once a second: counts, and samples for the plots. */
void tern_page_tick (TernPage *page);
/* "http://127.0.0.1:8090" */
char *tern_page_address (const TernPage *page);

G_END_DECLS
