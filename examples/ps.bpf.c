// An iterator over all tasks: a record for each process.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct signal_struct {
	int nr_threads;
};
struct cred {
	struct {
		unsigned int val;
	} uid;
};
struct task_struct {
	int pid, tgid;
	struct task_struct *real_parent;
	const struct cred *cred;
	struct signal_struct *signal;
	void *mm;
	__u64 start_boottime;
	char comm[16];
};
struct bpf_iter_meta {
	struct seq_file *seq;
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};
#pragma clang attribute pop

struct process {
	__u64 started; // nanoseconds since boot
	__u32 pid, ppid, uid, threads;
	_Bool kernel;
	char comm[16];
};
const struct process *unused __attribute__((unused));

SEC("iter/task")
int processes(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	if (!task || task->pid != task->tgid) // the end, or not a process's first thread
		return 0;
	struct process process = {
		.started = task->start_boottime,
		.pid = task->tgid,
		.ppid = task->real_parent->tgid,
		.uid = task->cred->uid.val,
		.threads = task->signal->nr_threads,
		.kernel = task->mm == 0,
	};
	bpf_probe_read_kernel_str(process.comm, sizeof(process.comm), task->comm);
	bpf_seq_write(ctx->meta->seq, &process, sizeof(process));
	return 0;
}
