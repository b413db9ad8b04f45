/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Defaults, for languages that have no use for the macros. */
#include "tern/tern.h"

void
tern_model_params_init (TernModelParams *params)
{
  *params = (TernModelParams) TERN_MODEL_PARAMS_INIT;
}

void
tern_compressor_params_init (TernCompressorParams *params)
{
  *params = (TernCompressorParams) TERN_COMPRESSOR_PARAMS_INIT;
}

void
tern_gate_params_init (TernGateParams *params)
{
  *params = (TernGateParams) TERN_GATE_PARAMS_INIT;
}

void
tern_reuse_params_init (TernReuseParams *params)
{
  *params = (TernReuseParams) TERN_REUSE_PARAMS_INIT;
}

void
tern_session_params_init (TernSessionParams *params)
{
  *params = (TernSessionParams) TERN_SESSION_PARAMS_INIT;
}
