/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program outside of the tree: install.py builds it from the pkg-config file and the headers of an installation alone.
 * Prints the model that it found, and what that sees in a grey picture. C11 and C++11. */
#include <stdio.h>
#include <string.h>

#include <tern/tern.h>

static int
fail (GError *error)
{
  fprintf (stderr, "client: %s\n", error->message);
  g_error_free (error);
  return 1;
}

int
main (void)
{
  static guint8 grey[64 * 64 * 3];
  TernModelParams model_params;
  TernSessionParams session_params;
  TernImage image;
  TernModel *model;
  TernSession *session;
  TernResult *result = NULL;
  GError *error = NULL;
  int status = 1;

  tern_model_params_init (&model_params);
  tern_session_params_init (&session_params);
  memset (grey, 128, sizeof grey);
  memset (&image, 0, sizeof image);
  image.format = TERN_IMAGE_RGB;
  image.width = image.height = 64;
  image.data[0] = grey;
  image.stride[0] = 64 * 3;

  if (!(model = tern_model_open (&model_params, &error)))
    return fail (error);
  printf ("model %s\n", tern_model_path (model));
  if (!(session = tern_session_new (model, &session_params, &error)))
    return fail (error);
  if (!tern_session_push_still (session, &image, &error))
    return fail (error);
  if (tern_session_next (session, -1, &result) == TERN_NEXT_RESULT) {
    char *json = tern_result_to_json (result);

    printf ("%s\n", json);
    g_free (json);
    tern_result_unref (result);
    status = 0;
  }
  tern_session_free (session);
  tern_model_unref (model);
  return status;
}
