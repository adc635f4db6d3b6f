// Counts what the processes of a control group send and receive. Lets everything pass.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct traffic {
	__u64 packets, bytes;
};

// Shared with user space, which reads them without a system call.
struct traffic sent, received;

static int count(struct traffic *traffic, struct __sk_buff *packet)
{
	__sync_fetch_and_add(&traffic->packets, 1);
	__sync_fetch_and_add(&traffic->bytes, packet->len);
	return 1; // 0 would drop it
}

SEC("cgroup_skb/egress")
int on_send(struct __sk_buff *packet)
{
	return count(&sent, packet);
}

SEC("cgroup_skb/ingress")
int on_receive(struct __sk_buff *packet)
{
	return count(&received, packet);
}
