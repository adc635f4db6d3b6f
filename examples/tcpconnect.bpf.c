// One event for every TCP connection that this machine begins: who, where to, and what came of it after how long.
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#define CORE __attribute__((preserve_access_index))
struct in6_addr {
	unsigned char bytes[16];
};
struct sock_common {
	unsigned short skc_family;
	__be16 skc_dport;
	__be32 skc_daddr;
	struct in6_addr skc_v6_daddr;
} CORE;
struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
} CORE;

#define AF_INET 2

struct attempt {
	__u64 since;
	__u32 pid;
	char comm[16];
};

struct event {
	__u64 nanoseconds;
	__u32 pid;
	_Bool connected, ipv6;
	__u16 port;
	char comm[16];
	unsigned char address[16]; // of IPv4, the first four
};
const struct event *unused __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64); // address of the socket
	__type(value, struct attempt);
} attempts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

static void report(struct sock *sk, struct attempt *attempt, _Bool connected)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return;
	event->nanoseconds = bpf_ktime_get_ns() - attempt->since;
	event->pid = attempt->pid;
	event->connected = connected;
	event->ipv6 = sk->__sk_common.skc_family != AF_INET;
	event->port = bpf_ntohs(sk->__sk_common.skc_dport);
	__builtin_memcpy(event->comm, attempt->comm, sizeof(event->comm));
	if (event->ipv6)
		bpf_core_read(event->address, 16, &sk->__sk_common.skc_v6_daddr);
	else
		bpf_core_read(event->address, 4, &sk->__sk_common.skc_daddr);
	bpf_ringbuf_submit(event, 0);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, struct sock *sk, int old_state, int new_state)
{
	__u64 key = (__u64)sk;
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (new_state == BPF_TCP_SYN_SENT) { // here, and only here, the process is the one that connects
		struct attempt attempt = { .since = bpf_ktime_get_ns(), .pid = bpf_get_current_pid_tgid() >> 32 };
		bpf_get_current_comm(attempt.comm, sizeof(attempt.comm));
		bpf_map_update_elem(&attempts, &key, &attempt, BPF_ANY);
	} else if (old_state == BPF_TCP_SYN_SENT) {
		struct attempt *attempt = bpf_map_lookup_elem(&attempts, &key);
		if (attempt)
			report(sk, attempt, new_state == BPF_TCP_ESTABLISHED);
		bpf_map_delete_elem(&attempts, &key);
	}
	return 0;
}
