/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file that takes another one's place when it is whole: it stands where that one did, behind links, and is as accessible. */
#pragma once

#include <glib.h>
#include <sys/stat.h>

G_BEGIN_DECLS

/* The file that @path names, behind symbolic links, whether it is there or not: what is renamed to it leaves the links. @path
 * itself where there is none, or they go in a circle. Free with g_free. */
char *tern_replace_target (const char *path);

/* Gives @fd, a file in the making that has nothing in it yet, owner and mode of the regular file at @target, if there is one: of
 * the owner what we may. */
void tern_replace_like (int fd, const char *target);

G_END_DECLS
