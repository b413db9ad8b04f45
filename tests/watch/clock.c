/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A clock on the wall that a test sets: loaded before the C library, it adds the us (8 bytes) that stand in the file
 * TERN_TEST_CLOCK at that moment. Other clocks go on as they do. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t *set;
static int (*ask_clock) (clockid_t, struct timespec *);

__attribute__ ((constructor)) static void
begin (void)
{
  const char *path = getenv ("TERN_TEST_CLOCK");
  int fd = path ? open (path, O_RDONLY | O_CLOEXEC) : -1;
  void *mapped = fd < 0 ? MAP_FAILED : mmap (NULL, sizeof *set, PROT_READ, MAP_SHARED, fd, 0);

  if (mapped != MAP_FAILED)
    set = mapped;
  if (fd >= 0)
    close (fd);
}

/* The C library's own, which may be asked before we begin. */
int
clock_gettime (clockid_t clock, struct timespec *time)
{
  int rc;

  if (!ask_clock)
    *(void **) &ask_clock = dlsym (RTLD_NEXT, "clock_gettime");
  rc = ask_clock (clock, time);
  if (rc == 0 && clock == CLOCK_REALTIME && set) {
    int64_t us = (int64_t) time->tv_sec * 1000000 + time->tv_nsec / 1000 + *(volatile const int64_t *) set;

    time->tv_sec = (time_t) (us / 1000000);
    time->tv_nsec = (long) (us % 1000000) * 1000;
  }
  return rc;
}

int
gettimeofday (struct timeval *time, void *zone)
{
  struct timespec now;
  int rc = clock_gettime (CLOCK_REALTIME, &now);

  (void) zone;
  time->tv_sec = now.tv_sec;
  time->tv_usec = (suseconds_t) (now.tv_nsec / 1000);
  return rc;
}

time_t
time (time_t *place)
{
  struct timespec now;

  clock_gettime (CLOCK_REALTIME, &now);
  if (place)
    *place = now.tv_sec;
  return now.tv_sec;
}
