// Counts the packets that a network device receives, by protocol. Lets all of them pass.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct kind {
	__u16 ethertype; // ETH_P_*
	__u16 protocol; // IPPROTO_*, of IPv4 and IPv6
};

struct traffic {
	__u64 packets, bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct kind);
	__type(value, struct traffic);
} traffic SEC(".maps");

SEC("xdp")
int on_packet(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ipv4 = (void *)(ethernet + 1);
	struct ipv6hdr *ipv6 = (void *)(ethernet + 1);
	if ((void *)(ethernet + 1) > end)
		return XDP_PASS;

	struct kind kind = { .ethertype = bpf_ntohs(ethernet->h_proto) };
	if (kind.ethertype == ETH_P_IP && (void *)(ipv4 + 1) <= end)
		kind.protocol = ipv4->protocol;
	else if (kind.ethertype == ETH_P_IPV6 && (void *)(ipv6 + 1) <= end)
		kind.protocol = ipv6->nexthdr;

	struct traffic *known = bpf_map_lookup_elem(&traffic, &kind);
	if (known) { // this CPU's own: nobody else adds to it
		known->packets++;
		known->bytes += end - data;
	} else {
		struct traffic first = { 1, end - data };
		bpf_map_update_elem(&traffic, &kind, &first, BPF_NOEXIST);
	}
	return XDP_PASS;
}
