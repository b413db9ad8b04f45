/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tern/tern.h"

/* A result of its own with copies of @values' strings, made valid UTF-8; NULL becomes "". */
TernResult *tern_result_new (const TernResult *values);
