/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A key file of which every mistake is told, with its line. GLib's own reader stops at the first one and knows no lines:
 * here lines are looked at first, those that are none are told and left out, and the values of the others are GLib's.
 *
 *   TernKeyFile *keys = tern_key_file_read (path, &error);
 *   for each group: tern_key_file_string (keys, group, "source"), ..., tern_key_file_mistake (keys, group, "source", "...");
 *   if (!tern_key_file_check (keys, &error)) ...
 *
 * One thread at a time. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Bytes of a file. */
#define TERN_KEY_FILE_MAX ((gsize) 1 << 20)

typedef struct _TernKeyFile TernKeyFile;

/* Errors: NOT_FOUND, READ, FORMAT (not UTF-8). What is wrong in a line is told by tern_key_file_check() instead. */
TernKeyFile *tern_key_file_read (const char *path, GError **error);
void tern_key_file_free (TernKeyFile *keys);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernKeyFile, tern_key_file_free)

/* Names of the groups in their order; borrowed. */
const char *const *tern_key_file_groups (const TernKeyFile *keys);
gboolean tern_key_file_has_group (const TernKeyFile *keys, const char *group);
/* The value of @key (transfer full), or NULL without one; from now on the key is known. */
char *tern_key_file_string (TernKeyFile *keys, const char *group, const char *key);
/* A list, items apart by `;`, without blanks around them; NULL without the key. */
char **tern_key_file_list (TernKeyFile *keys, const char *group, const char *key);
/* All of a group, as it is written: equal texts mean the same. */
char *tern_key_file_text (const TernKeyFile *keys, const char *group);

/* Something is wrong with @key, or with the group (NULL, or a key that is not there). */
void tern_key_file_mistake (TernKeyFile *keys, const char *group, const char *key, const char *format, ...) G_GNUC_PRINTF (4, 5);
/* FALSE: *@error (INVALID) has all mistakes, a line each, as FILE:LINE: and in that order; keys that nobody asked for
 * among them. */
gboolean tern_key_file_check (TernKeyFile *keys, GError **error);

G_END_DECLS
