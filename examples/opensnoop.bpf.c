// One event for every file that is opened, or that could not be.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// What to report: all processes when 0; only failures. Set before load.
const volatile __u32 target_pid = 0;
const volatile _Bool only_failed = 0;

// Tracepoints of system calls, as /sys/kernel/tracing/events/syscalls/*/format describes them.
struct enter {
	__u64 common, number, args[6];
};
struct leave {
	__u64 common, number;
	__s64 result;
};

struct event {
	__u32 pid, uid;
	__s32 result; // a descriptor, or -errno
	__u32 flags;
	char comm[16];
	char path[256];
};
const struct event *unused __attribute__((unused));

struct call {
	__u64 path, flags;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32); // thread
	__type(value, struct call);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

SEC("tp/syscalls/sys_enter_openat")
int on_enter(struct enter *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 pid = id >> 32, thread = id;
	if (target_pid && pid != target_pid)
		return 0;
	struct call call = { .path = ctx->args[1], .flags = ctx->args[2] };
	bpf_map_update_elem(&calls, &thread, &call, BPF_ANY);
	return 0;
}

SEC("tp/syscalls/sys_exit_openat")
int on_leave(struct leave *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 thread = id;
	struct call *call = bpf_map_lookup_elem(&calls, &thread);
	if (!call)
		return 0;
	struct event *event = 0;
	if (!only_failed || ctx->result < 0)
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (event) {
		event->pid = id >> 32;
		event->uid = bpf_get_current_uid_gid();
		event->result = ctx->result;
		event->flags = call->flags;
		bpf_get_current_comm(event->comm, sizeof(event->comm));
		if (bpf_probe_read_user_str(event->path, sizeof(event->path), (void *)call->path) < 0)
			event->path[0] = 0;
		bpf_ringbuf_submit(event, 0);
	}
	bpf_map_delete_elem(&calls, &thread);
	return 0;
}
