// The C side of a map that bpfkit has made: both read and write the very same elements in the same memory, in the same
// order, which two maps never have. Compiled into the cache by libbpf-program.ts; prints JSON lines, nanoseconds an entry.
// usage: map-loops LABEL RUNS ID ENTRIES WHAT...
#include <stdint.h>
#include <string.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "measure.h"

// Entries a call, as in values.ts.
#define READ_BATCH 4096
#define WRITE_BATCH 4000
// Threads that Node.js starts before any program does.
#define IDLE_THREADS 4

static const char *label;
static int map;
static uint32_t entries;
static uint32_t *keys, *read_keys;
static uint64_t *values, *read_values;

static void lookup(void)
{
	uint64_t value = 0;
	for (uint32_t key = 0; key < entries; key++)
		if (bpf_map_lookup_elem(map, &key, &value))
			fail("lookup");
}

static void *idle(void *unused)
{
	for (;;)
		pause();
}

// One more call on the stack, whose return the compiler cannot merge with the others.
#define DEEPER(name, inner)                                                  \
	__attribute__((noinline)) static int name(const uint32_t *key, uint64_t *value) \
	{                                                                    \
		int error = inner;                                           \
		__asm__ volatile("");                                        \
		return error;                                                \
	}
DEEPER(deep_1, bpf_map_lookup_elem(map, key, value))
DEEPER(deep_2, deep_1(key, value))
DEEPER(deep_3, deep_2(key, value))
DEEPER(deep_4, deep_3(key, value))
DEEPER(deep_5, deep_4(key, value))
DEEPER(deep_6, deep_5(key, value))
DEEPER(deep_7, deep_6(key, value))
DEEPER(deep_8, deep_7(key, value))

// What a runtime cannot avoid, in C: with other threads in the process the kernel counts the users of the map's
// descriptor, and where it flushes the processor's predictions of returns, each call that is to return costs again.
static void lookup_as_runtime(void)
{
	static pthread_t threads[IDLE_THREADS];
	for (int i = 0; i < IDLE_THREADS && !threads[i]; i++)
		if (pthread_create(&threads[i], NULL, idle, NULL))
			fail("thread");
	uint64_t value = 0;
	for (uint32_t key = 0; key < entries; key++)
		if (deep_8(&key, &value))
			fail("lookup");
}

static void update(void)
{
	for (uint32_t key = 0; key < entries; key++)
		if (bpf_map_update_elem(map, &key, &values[key], BPF_ANY))
			fail("update");
}

static void lookup_batch(void)
{
	uint64_t position = 0, sum = 0;
	for (int first = 1;; first = 0) {
		uint32_t count = READ_BATCH;
		int error = bpf_map_lookup_batch(map, first ? NULL : &position, &position, read_keys, read_values, &count, NULL);
		if (error && errno != ENOENT)
			fail("lookup batch");
		sum += count;
		if (error)
			break;
	}
	if (sum != entries) {
		fprintf(stderr, "map-loops: read %lu entries\n", (unsigned long)sum);
		exit(1);
	}
}

static void update_batch(void)
{
	for (uint32_t at = 0; at < entries; at += WRITE_BATCH) {
		uint32_t count = entries - at < WRITE_BATCH ? entries - at : WRITE_BATCH;
		if (bpf_map_update_batch(map, keys + at, values + at, &count, NULL))
			fail("update batch");
	}
}

static const struct {
	const char *name;
	void (*body)(void);
} loops[] = {
	{ "lookup", lookup },
	// The last one of a run: its threads stay.
	{ "lookup-as-runtime", lookup_as_runtime },
	{ "update", update },
	{ "lookup-batch", lookup_batch },
	{ "update-batch", update_batch },
};

static void measure(const char *name, int runs)
{
	static double sample[MAX_RUNS];
	unsigned int i = 0;
	while (i < sizeof(loops) / sizeof(*loops) && strcmp(loops[i].name, name))
		i++;
	if (i == sizeof(loops) / sizeof(*loops)) {
		fprintf(stderr, "map-loops: no loop %s\n", name);
		exit(2);
	}
	for (int run = 0; run < runs; run++) {
		double start = now();
		loops[i].body();
		sample[run] = (now() - start) / entries;
	}
	char labelled[64];
	snprintf(labelled, sizeof(labelled), "%s %s", label, name);
	report(labelled, sample, runs);
}

int main(int argc, char **argv)
{
	int runs = argc > 5 ? atoi(argv[2]) : 0;
	if (runs < 1 || runs > MAX_RUNS) {
		fprintf(stderr, "usage: map-loops LABEL RUNS ID ENTRIES WHAT...\n");
		return 2;
	}
	label = argv[1];
	map = bpf_map_get_fd_by_id(atoi(argv[3]));
	if (map < 0)
		fail("map id");
	entries = atoi(argv[4]);
	keys = calloc(entries, sizeof(*keys));
	values = calloc(entries, sizeof(*values));
	read_keys = calloc(READ_BATCH, sizeof(*read_keys));
	read_values = calloc(READ_BATCH, sizeof(*read_values));
	if (!keys || !values || !read_keys || !read_values)
		fail("memory");
	for (uint32_t key = 0; key < entries; key++) {
		keys[key] = key;
		values[key] = key * 3ull;
	}
	for (int i = 5; i < argc; i++)
		measure(argv[i], runs);
	return 0;
}
