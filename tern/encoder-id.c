/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which encoder made a token, which model a caption: hashing whole files of gigabytes at every start would cost seconds, so the
 * header, every tensor's place, and sampled pages stand for the file. */
#include "tern/encoder-id.h"

#include <string.h>

/* Raised whenever preprocessing changes what the same weights make of a picture. */
#define PREPROCESSING_VERSION "tern-preprocessing-1"
#define PAGE 4096
#define PAGES 64

static char *
id_of (const TernGguf *file, const char *salt)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  TernBytes header = tern_gguf_header (file);
  guint64 size = GUINT64_TO_LE ((guint64) tern_gguf_size (file));

  g_checksum_update (sum, (const guchar *) salt, (gssize) strlen (salt) + 1);
  g_checksum_update (sum, (const guchar *) &size, sizeof (size));
  g_checksum_update (sum, (const guchar *) header.data, (gssize) header.len);

  /* The head and the tail of some tensors, spread over the directory. */
  for (gsize i = 0, n = tern_gguf_n_tensors (file), step = MAX (n / (PAGES / 2), 1); i < n; i += step) {
    const TernTensor *tensor = tern_gguf_tensor_at (file, i);
    gsize bytes = MIN (tensor->bytes, PAGE);

    if (bytes == 0)
      continue;
    g_checksum_update (sum, tensor->data, (gssize) bytes);
    g_checksum_update (sum, tensor->data + tensor->bytes - bytes, (gssize) bytes);
  }
  return g_strndup (g_checksum_get_string (sum), 32);
}

char *
tern_encoder_id (const TernGguf *mmproj)
{
  return id_of (mmproj, PREPROCESSING_VERSION);
}

char *
tern_model_file_id (const TernGguf *file)
{
  return id_of (file, "");
}
