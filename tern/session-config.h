/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What holds for the work of a session that is pushed from now on; may change between windows. */
#pragma once

#include "compress/dycoke-dp.h"
#include "tern/tern.h"
#include "tern/work-queue.h"

/* Immutable, counted. */
struct _TernSessionConfig {
  gint refs;                    /* atomic */
  /* As asked for, in its range. Strings and questions are the config's; what is not for windows to come (source, func,
   * func_data) is NULL. */
  TernSessionParams params;
  const TernQuestion *questions;        /* [n_questions], at least one; no prompt or id is NULL */
  guint n_questions;
  TernDpParams dp;              /* of params.kv_* */
  GStringChunk *strings;
};

/* INVALID names the parameter, its range and the value found. @default_prompt is asked where a prompt is NULL. */
TernSessionConfig *tern_session_config_new (const TernSessionParams *params, const char *default_prompt,
    GError **error);
TernSessionConfig *tern_session_config_ref (TernSessionConfig *config);
void tern_session_config_unref (TernSessionConfig *config);
