// One event for every program that is executed, with its arguments.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

// What is read of the kernel's structs. CO-RE finds the members wherever the running kernel has them.
#define CORE __attribute__((preserve_access_index))
struct mm_struct {
	unsigned long arg_start, arg_end;
} CORE;
struct task_struct {
	int tgid;
	struct task_struct *real_parent;
	struct mm_struct *mm;
} CORE;

struct event {
	__u32 pid, ppid, uid;
	char comm[16];
	__u32 args_size;
	unsigned char args[512]; // each ends with a NUL
};
const struct event *unused __attribute__((unused)); // keeps the type in the BTF

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return 0;
	event->pid = task->tgid;
	event->ppid = task->real_parent->tgid;
	event->uid = bpf_get_current_uid_gid();
	bpf_get_current_comm(event->comm, sizeof(event->comm));

	unsigned long start = task->mm->arg_start, size = task->mm->arg_end - start;
	if (size > sizeof(event->args))
		size = sizeof(event->args);
	event->args_size = bpf_probe_read_user(event->args, size, (void *)start) ? 0 : size;
	bpf_ringbuf_submit(event, 0);
	return 0;
}
