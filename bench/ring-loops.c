// The C side of a ring buffer that bpfkit has made: fills it by the same program, and empties it by libbpf, copying each
// event as a program that keeps it would. Compiled into the cache by libbpf-program.ts; prints JSON lines, nanoseconds an
// event.
// usage: ring-loops RUNS RING-ID PROGRAM-ID EVENTS
#include <stdint.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "measure.h"

struct event {
	uint64_t ts;
	uint32_t pid, tgid, uid;
	int32_t ret;
	char comm[16];
};

static struct event last;
static uint64_t sum;

static int on_event(void *context, void *data, size_t size)
{
	if (size != sizeof(last))
		return -1;
	memcpy(&last, data, sizeof(last));
	sum += last.pid;
	return 0;
}

int main(int argc, char **argv)
{
	static double sample[MAX_RUNS];
	int runs = argc == 5 ? atoi(argv[1]) : 0;
	if (runs < 1 || runs > MAX_RUNS) {
		fprintf(stderr, "usage: ring-loops RUNS RING-ID PROGRAM-ID EVENTS\n");
		return 2;
	}
	int map = bpf_map_get_fd_by_id(atoi(argv[2])), program = bpf_prog_get_fd_by_id(atoi(argv[3]));
	if (map < 0 || program < 0)
		fail("id");
	uint32_t events = atoi(argv[4]);
	struct ring_buffer *ring = ring_buffer__new(map, on_event, NULL, NULL);
	if (!ring)
		fail("ring");
	for (int run = 0; run < runs; run++) {
		LIBBPF_OPTS(bpf_test_run_opts, call, .ctx_in = &events, .ctx_size_in = sizeof(events));
		if (bpf_prog_test_run_opts(program, &call))
			fail("flood");
		sum = 0;
		double start = now();
		int count = ring_buffer__consume(ring);
		sample[run] = (now() - start) / events;
		if (count != (int)events || sum != (uint64_t)events * (events - 1) / 2) {
			fprintf(stderr, "ring-loops: %d events of %u\n", count, events);
			return 1;
		}
	}
	report("consume", sample, runs);
	return 0;
}
