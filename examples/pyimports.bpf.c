// One event for every module that a Python program imports, by probes (USDT) that CPython has.
#include <linux/bpf.h>

// usdt.bpf.h wants to know where registers are. It only asks for the instruction pointer, on kernels without cookies.
#define __TARGET_ARCH_x86
#define __VMLINUX_H__
struct pt_regs {
	unsigned long ip;
} __attribute__((preserve_access_index));

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <stdbool.h>
#include <bpf/usdt.bpf.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct event {
	__u64 nanoseconds; // with what the module itself imports
	__u32 pid;
	__s32 depth; // 0 for what the program itself imports
	_Bool found;
	char module[128];
};
const struct event *unused __attribute__((unused));

// Modules import modules: how deep each thread is, and since when at each depth.
#define MAX_DEPTH 64
struct thread {
	__u32 depth;
	__u64 since[MAX_DEPTH];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct thread);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} events SEC(".maps");

static const struct thread new_thread;

SEC("usdt")
int on_start(struct pt_regs *ctx)
{
	__u32 id = bpf_get_current_pid_tgid();
	bpf_map_update_elem(&threads, &id, &new_thread, BPF_NOEXIST);
	struct thread *thread = bpf_map_lookup_elem(&threads, &id);
	if (!thread)
		return 0;
	__u32 depth = thread->depth++;
	if (depth < MAX_DEPTH)
		thread->since[depth] = bpf_ktime_get_ns();
	return 0;
}

SEC("usdt")
int on_done(struct pt_regs *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 thread_id = id;
	struct thread *thread = bpf_map_lookup_elem(&threads, &thread_id);
	if (!thread)
		return 0;
	__u32 depth = --thread->depth;
	__u64 since = depth < MAX_DEPTH ? thread->since[depth] : 0;
	if (depth == 0)
		bpf_map_delete_elem(&threads, &thread_id);
	if (since == 0) // too deep
		return 0;
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (event) {
		long name = 0, found = 0;
		bpf_usdt_arg(ctx, 0, &name);
		bpf_usdt_arg(ctx, 1, &found);
		event->nanoseconds = bpf_ktime_get_ns() - since;
		event->pid = id >> 32;
		event->depth = depth;
		event->found = (int)found != 0;
		bpf_probe_read_user_str(event->module, sizeof(event->module), (void *)name);
		bpf_ringbuf_submit(event, 0);
	}
	return 0;
}
