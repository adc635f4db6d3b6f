// What the C programs of the benchmark measure and report with.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <bpf/libbpf.h>

#define MAX_RUNS 1000

// Nanoseconds.
static inline double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static inline void fail(const char *what)
{
	perror(what);
	exit(1);
}

static inline int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

// A JSON line of the samples, which are sorted by it.
static inline void report(const char *name, double *sample, int count)
{
	if (count == 0)
		return;
	qsort(sample, count, sizeof(*sample), ascending);
	printf("{\"impl\":\"libbpf %s\",\"name\":\"%s\",\"min\":%.3f,\"median\":%.3f}\n", libbpf_version_string(),
	       name, sample[0], sample[count / 2]);
}
