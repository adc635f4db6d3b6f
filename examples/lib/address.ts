// Internet addresses as text.

/** The address in the first four bytes, or in all 16 for IPv6 (as RFC 5952 wants it: URLs know how). */
export function addressText(bytes: Uint8Array, ipv6: boolean): string {
  if (!ipv6) return bytes.subarray(0, 4).join(".");
  const groups = Buffer.from(bytes).toString("hex").match(/.{4}/g)!.join(":");
  return new URL(`http://[${groups}]`).hostname.slice(1, -1);
}

/** An address and a port: `127.0.0.1:80`, `[::1]:80`. */
export function placeText(bytes: Uint8Array, ipv6: boolean, port: number): string {
  const address = addressText(bytes, ipv6);
  return `${ipv6 ? `[${address}]` : address}:${port}`;
}
