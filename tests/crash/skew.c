/* Clocks that go wrong: what a process is told of the time is so many seconds off.

   CLOCK_SKEW=gunicorn:600,celery:-600 names processes by a word of their command line. Loaded by LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static long skew;

__attribute__((constructor)) static void begin(void) {
    char line[4096], word[64];
    const char *wanted = getenv("CLOCK_SKEW");
    FILE *file = fopen("/proc/self/cmdline", "r");
    size_t size = file ? fread(line, 1, sizeof line - 1, file) : 0;
    if (file)
        fclose(file);
    for (size_t at = 0; at < size; at++)
        if (!line[at])
            line[at] = ' ';
    line[size] = 0;
    long seconds;
    while (wanted && sscanf(wanted, "%63[^:]:%ld", word, &seconds) == 2) {
        if (strstr(line, word))
            skew = seconds;
        wanted = strchr(wanted, ',');
        if (wanted)
            wanted++;
    }
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, now);
    if (!status && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += skew;
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec time;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &time))
        return -1;
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}
