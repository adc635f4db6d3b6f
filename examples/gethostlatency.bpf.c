// One event for every host name that a process looks up with the C library's getaddrinfo(), and how long it took.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// The registers of x86-64 and of arm64. CO-RE finds out which of them this kernel has: one object for both.
struct pt_regs {
	unsigned long di, ax;
} __attribute__((preserve_access_index));
struct pt_regs___arm64 {
	unsigned long regs[31];
} __attribute__((preserve_access_index));

static unsigned long first_argument(struct pt_regs *ctx)
{
	if (bpf_core_field_exists(ctx->di))
		return BPF_CORE_READ(ctx, di);
	return BPF_CORE_READ((struct pt_regs___arm64 *)ctx, regs[0]);
}

static int result(struct pt_regs *ctx)
{
	if (bpf_core_field_exists(ctx->ax))
		return BPF_CORE_READ(ctx, ax);
	return BPF_CORE_READ((struct pt_regs___arm64 *)ctx, regs[0]);
}

struct event {
	__u64 nanoseconds;
	__u32 pid;
	__s32 error; // EAI_*, 0 for success
	char comm[16];
	char host[256];
};

struct lookup {
	__u64 since;
	char host[256];
};
const struct event *unused __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32); // thread
	__type(value, struct lookup);
} lookups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} events SEC(".maps");

SEC("uprobe/libc.so.6:getaddrinfo")
int on_lookup(struct pt_regs *ctx)
{
	__u32 thread = bpf_get_current_pid_tgid();
	struct lookup lookup = { .since = bpf_ktime_get_ns() };
	bpf_probe_read_user_str(lookup.host, sizeof(lookup.host), (void *)first_argument(ctx));
	bpf_map_update_elem(&lookups, &thread, &lookup, BPF_ANY);
	return 0;
}

SEC("uretprobe/libc.so.6:getaddrinfo")
int on_result(struct pt_regs *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 thread = id;
	struct lookup *lookup = bpf_map_lookup_elem(&lookups, &thread);
	if (!lookup)
		return 0;
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (event) {
		event->nanoseconds = bpf_ktime_get_ns() - lookup->since;
		event->pid = id >> 32;
		event->error = result(ctx);
		bpf_get_current_comm(event->comm, sizeof(event->comm));
		__builtin_memcpy(event->host, lookup->host, sizeof(event->host));
		bpf_ringbuf_submit(event, 0);
	}
	bpf_map_delete_elem(&lookups, &thread);
	return 0;
}
