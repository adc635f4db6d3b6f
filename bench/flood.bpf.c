// Fills a ring buffer with events whenever it is run by a call: what the readers of the benchmark empty.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct event {
	__u64 ts;
	__u32 pid, tgid, uid;
	__s32 ret;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} events SEC(".maps");

struct event *unused __attribute__((unused));

static long emit(__u64 i, void *unused_context)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return 1;
	event->ts = 1000000000000 + i;
	event->pid = i;
	event->tgid = i;
	event->uid = 1000;
	event->ret = -(int)i;
	__builtin_memset(event->comm, 0, sizeof(event->comm));
	__builtin_memcpy(event->comm, "process-", 8);
	// Sixteen processes take turns.
	event->comm[8] = 'a' + (i & 15);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

struct request {
	__u32 events;
};

SEC("syscall")
int flood(struct request *request)
{
	return bpf_loop(request->events, emit, 0, 0);
}
