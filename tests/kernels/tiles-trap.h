/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* AMX on a machine that has none: its instructions end in a signal, whose handler does what they would have done (Intel
 * SDM vol. 2A and 2D) and goes on behind them. So the kernels run as they were compiled, down to the encoding. What is
 * #UD or #GP there ends the test. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Whether kernels with tiles run in this process: on the machine itself, or in the handler, which is put in place. */
gboolean tiles_trap_available (void);
/* Of what was trapped: whether the thread has tiles now, and instructions so far. */
gboolean tiles_trap_configured (void);
guint tiles_trap_count (void);

G_END_DECLS
