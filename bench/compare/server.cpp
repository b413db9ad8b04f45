/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* llama.cpp's own server, on one variant of its processor library: server BACKEND, and then what its server takes. */
#include "ggml-backend.h"

#include <cstdio>

int llama_server(int argc, char **argv);

int main(int argc, char **argv)
{
  if (argc < 2 || !ggml_backend_load(argv[1])) {
    fprintf(stderr, "server: expected a library of ggml, found %s\n", argc < 2 ? "nothing" : argv[1]);
    return 2;
  }
  argv[1] = argv[0];
  return llama_server(argc - 1, argv + 1);
}
