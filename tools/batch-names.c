/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/batch-names.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/readfile.h"

#define NAME_BYTES (64 << 10)   /* of one name at most: an address, even */

typedef struct {
  gboolean (*take) (const char *name, void *data);
  void *data;
  GString *name;
  int end;                      /* of a name */
} Reader;

static gboolean
end_name (Reader *reader)
{
  GString *name = reader->name;
  const char *text = name->str;
  gboolean wanted;

  if (reader->end == '\n' && name->len && name->str[name->len - 1] == '\r')
    g_string_truncate (name, name->len - 1);
  if (name->len == 0)
    return TRUE;
  if (g_str_has_prefix (text, TERN_BOM) && !g_file_test (text, G_FILE_TEST_EXISTS))
    text += strlen (TERN_BOM);
  wanted = reader->take (text, reader->data);
  g_string_truncate (name, 0);
  return wanted;
}

/* FALSE: no more of it. */
static gboolean
take_block (Reader *reader, const char *block, gsize n, char **refusal)
{
  for (gsize i = 0; i < n; i++) {
    if (block[i] == 0)
      reader->end = 0;
    if (block[i] == reader->end) {
      if (!end_name (reader))
        return FALSE;
    } else if (reader->name->len < NAME_BYTES) {
      g_string_append_c (reader->name, block[i]);
    } else {
      *refusal = g_strdup_printf ("expected names of files, found one of more than %d bytes", NAME_BYTES);
      return FALSE;
    }
  }
  return TRUE;
}

char *
tern_batch_names_read (int fd, gboolean (*take) (const char *name, void *data), void *data)
{
  g_autoptr (GString) name = g_string_new (NULL);
  Reader reader = { take, data, name, '\n' };
  char block[1 << 16], *refusal = NULL;
  gboolean wanted = TRUE, first = TRUE;
  gssize n;

  while (wanted && (n = read (fd, block, sizeof block)) > 0) {
    if (first && memchr (block, 0, n))
      reader.end = 0;
    first = FALSE;
    wanted = take_block (&reader, block, n, &refusal);
  }
  if (wanted && n < 0)
    return g_strdup_printf ("expected names of files, found that it cannot be read: %s", g_strerror (errno));
  if (wanted)
    end_name (&reader);
  return refusal;
}
