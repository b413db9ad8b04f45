/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/error.h"

G_DEFINE_QUARK (tern-error-quark, tern_error)
