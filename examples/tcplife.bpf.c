// One event for every TCP connection that ends: between whom, how long it was open, and what it carried.
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
	__u16 skc_num;
	__be32 skc_daddr, skc_rcv_saddr;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
	unsigned long skc_flags;
} CORE;
struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
} CORE;
struct tcp_sock {
	__u64 bytes_sent, bytes_retrans, bytes_received;
} CORE;
enum sock_flags {
	SOCK_DONE = 1, // whatever number the running kernel has for it
};

#define AF_INET 2

struct connection {
	__u64 since;
	__u32 pid; // 0: not known
	__u16 port; // the socket has none any more when it is closed
	char comm[16];
};

struct event {
	__u64 nanoseconds, sent, received;
	__u32 pid;
	__u16 local_port, remote_port;
	_Bool ipv6;
	char comm[16];
	unsigned char local[16], remote[16]; // of IPv4, the first four
};
const struct event *unused __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64); // address of the socket
	__type(value, struct connection);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

static void report(struct sock *sk, struct connection *connection)
{
	struct sock_common *common = &sk->__sk_common;
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return;
	event->nanoseconds = bpf_ktime_get_ns() - connection->since;
	event->sent = BPF_CORE_READ(tcp, bytes_sent) - BPF_CORE_READ(tcp, bytes_retrans);
	event->received = BPF_CORE_READ(tcp, bytes_received);
	if (common->skc_flags >> bpf_core_enum_value(enum sock_flags, SOCK_DONE) & 1)
		event->received--; // the other side's end counts as a byte
	event->pid = connection->pid;
	event->local_port = connection->port;
	event->remote_port = bpf_ntohs(common->skc_dport);
	event->ipv6 = common->skc_family != AF_INET;
	__builtin_memcpy(event->comm, connection->comm, sizeof(event->comm));
	if (event->ipv6) {
		bpf_core_read(event->local, 16, &common->skc_v6_rcv_saddr);
		bpf_core_read(event->remote, 16, &common->skc_v6_daddr);
	} else {
		bpf_core_read(event->local, 4, &common->skc_rcv_saddr);
		bpf_core_read(event->remote, 4, &common->skc_daddr);
	}
	bpf_ringbuf_submit(event, 0);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, struct sock *sk, int old_state, int new_state)
{
	__u64 key = (__u64)sk;
	struct connection new = { .since = bpf_ktime_get_ns() };
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	// What is established from outside is established by nobody: in an interrupt.
	if (new_state == BPF_TCP_SYN_SENT || (new_state == BPF_TCP_ESTABLISHED && old_state == BPF_TCP_SYN_RECV))
		bpf_map_update_elem(&connections, &key, &new, BPF_ANY);
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);
	if (!connection)
		return 0;
	// Connecting and closing are done by the process itself.
	if (new_state == BPF_TCP_SYN_SENT ||
	    (connection->pid == 0 && (new_state == BPF_TCP_FIN_WAIT1 || new_state == BPF_TCP_LAST_ACK))) {
		connection->pid = bpf_get_current_pid_tgid() >> 32;
		bpf_get_current_comm(connection->comm, sizeof(connection->comm));
	}
	if (new_state == BPF_TCP_ESTABLISHED)
		connection->port = sk->__sk_common.skc_num;
	if (new_state == BPF_TCP_CLOSE) {
		if (old_state != BPF_TCP_SYN_SENT) // was never open
			report(sk, connection);
		bpf_map_delete_elem(&connections, &key);
	}
	return 0;
}
