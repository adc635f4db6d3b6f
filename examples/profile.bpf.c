// Counts the stacks that are found running, in the kernel and in user space.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct sample {
	__u32 pid;
	__s32 kernel_stack, user_stack; // ids of stacks, negative when there is none
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct sample);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u64[127]); // addresses, innermost first, then zeros
} stacks SEC(".maps");

SEC("perf_event")
int on_sample(void *ctx)
{
	struct sample sample = { .pid = bpf_get_current_pid_tgid() >> 32 };
	if (sample.pid == 0) // idle
		return 0;
	sample.kernel_stack = bpf_get_stackid(ctx, &stacks, 0);
	sample.user_stack = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
	bpf_get_current_comm(sample.comm, sizeof(sample.comm));

	__u64 zero = 0, *count = bpf_map_lookup_elem(&counts, &sample);
	if (!count) {
		bpf_map_update_elem(&counts, &sample, &zero, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&counts, &sample);
	}
	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}
