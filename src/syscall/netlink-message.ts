// Netlink messages as bytes (UAPI linux/netlink.h): a header of 16 bytes, a fixed part that belongs to the type, and
// attributes of type, length and value, all aligned to 4 bytes and in the machine's order, little-endian. Pure.

import { ArgumentError } from "../errors.js";
import { textOf } from "./memory.js";

const HEADER = 16;
const ATTRIBUTE_HEADER = 4;
const MAX_ATTRIBUTE = 0xffff;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER are no part of the type. */
const NLA_TYPE_MASK = 0x3fff;
const NLA_F_NESTED = 0x8000;

const aligned = (length: number): number => (length + 3) & ~3;

/** One message as it came. */
export interface NetlinkMessage {
  /** NLMSG_* or what the family calls its messages. */
  readonly type: number;
  /** NLM_F_* */
  readonly flags: number;
  readonly sequence: number;
  /** Port of the socket that it answers. */
  readonly port: number;
  /** What follows the header. */
  readonly body: Uint8Array;
}

/** Puts pieces behind one another. */
export function joinBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** A structure of `size` bytes: values of 1, 2 or 4 bytes by offset. Negative numbers are two's complement. */
export function structBytes(
  size: number,
  fields: readonly (readonly [offset: number, width: 1 | 2 | 4, value: number])[],
): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [offset, width, value] of fields) {
    if (width === 1) view.setUint8(offset, value);
    else if (width === 2) view.setUint16(offset, value, true);
    else view.setUint32(offset, value, true);
  }
  return bytes;
}

/**
 * An attribute with its padding.
 *
 * @param value bytes, or the attributes that it contains
 * @throws ArgumentError when it would be longer than an attribute can be
 */
export function netlinkAttribute(type: number, value: Uint8Array | readonly Uint8Array[]): Uint8Array {
  const nested = !(value instanceof Uint8Array);
  const content = nested ? joinBytes(...value) : value;
  const length = ATTRIBUTE_HEADER + content.length;
  if (length > MAX_ATTRIBUTE) throw new ArgumentError(`a netlink attribute of ${content.length} bytes is too long`);
  const bytes = new Uint8Array(aligned(length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, length, true);
  view.setUint16(2, nested ? type | NLA_F_NESTED : type, true);
  bytes.set(content, ATTRIBUTE_HEADER);
  return bytes;
}

/** An attribute of 32 bits, signed or not. */
export function numberAttribute(type: number, value: number): Uint8Array {
  return netlinkAttribute(type, structBytes(4, [[0, 4, value]]));
}

/** An attribute that is a text with its NUL. */
export function textAttribute(type: number, text: string): Uint8Array {
  return netlinkAttribute(type, new TextEncoder().encode(`${text}\0`));
}

/** A whole message. */
export function netlinkMessage({ type, flags, sequence, port, body }: NetlinkMessage): Uint8Array {
  const length = HEADER + body.length;
  const header = structBytes(HEADER, [
    [0, 4, length],
    [4, 2, type],
    [6, 2, flags],
    [8, 4, sequence],
    [12, 4, port],
  ]);
  return joinBytes(header, body);
}

/** The messages in one datagram; undefined when it is damaged. */
export function messagesOf(datagram: Uint8Array): NetlinkMessage[] | undefined {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
  const messages: NetlinkMessage[] = [];
  let at = 0;
  while (at < datagram.length) {
    if (at + HEADER > datagram.length) return undefined;
    const length = view.getUint32(at, true);
    if (length < HEADER || length > datagram.length - at) return undefined;
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      port: view.getUint32(at + 12, true),
      body: datagram.subarray(at + HEADER, at + length),
    });
    at += aligned(length);
  }
  return messages;
}

/** The attributes in `bytes` by type; of several of one type the last. What follows a damaged one is left out. */
export function attributesOf(bytes: Uint8Array): NetlinkAttributes {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found = new Map<number, Uint8Array>();
  let at = 0;
  while (at + ATTRIBUTE_HEADER <= bytes.length) {
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE_HEADER || length > bytes.length - at) break;
    found.set(view.getUint16(at + 2, true) & NLA_TYPE_MASK, bytes.subarray(at + ATTRIBUTE_HEADER, at + length));
    at += aligned(length);
  }
  return new NetlinkAttributes(found);
}

/** Attributes by type, read as what the caller knows them to be. */
export class NetlinkAttributes {
  readonly #found: ReadonlyMap<number, Uint8Array>;

  constructor(found: ReadonlyMap<number, Uint8Array>) {
    this.#found = found;
  }

  bytes(type: number): Uint8Array | undefined {
    return this.#found.get(type);
  }

  /** An integer of 1, 2, 4 or 8 bytes, unsigned; undefined when it is absent or has no such length. */
  integer(type: number): bigint | undefined {
    const bytes = this.#found.get(type);
    if (bytes === undefined || ![1, 2, 4, 8].includes(bytes.length)) return undefined;
    return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  /** {@link integer} of up to 32 bits. */
  number(type: number): number | undefined {
    const value = this.integer(type);
    return value === undefined ? undefined : Number(BigInt.asUintN(32, value));
  }

  text(type: number): string | undefined {
    const bytes = this.#found.get(type);
    return bytes === undefined ? undefined : textOf(bytes);
  }

  nested(type: number): NetlinkAttributes | undefined {
    const bytes = this.#found.get(type);
    return bytes === undefined ? undefined : attributesOf(bytes);
  }
}

const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;
const NLMSGERR_ATTR_MISS_TYPE = 5;

/** What an answer says about its request: 0 or a positive errno, and in words why. */
export interface NetlinkVerdict {
  readonly errno: number;
  readonly reason: string | undefined;
}

/** Reads NLMSG_ERROR (also the acknowledgement) and NLMSG_DONE; undefined when it is damaged. */
export function verdictOf({ type, flags, body }: NetlinkMessage): NetlinkVerdict | undefined {
  if (body.length < 4) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const errno = Math.max(0, -view.getInt32(0, true));
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno, reason: undefined };
  let at = 4;
  if (type === NLMSG_ERROR) {
    // The header of the request follows, and unless it was capped the rest of it.
    if (body.length < 4 + HEADER) return undefined;
    at += (flags & NLM_F_CAPPED) === 0 ? aligned(Math.max(HEADER, view.getUint32(4, true))) : HEADER;
  }
  const attributes = attributesOf(body.subarray(Math.min(at, body.length)));
  const missing = attributes.number(NLMSGERR_ATTR_MISS_TYPE);
  const reason =
    attributes.text(NLMSGERR_ATTR_MSG) ?? (missing === undefined ? undefined : `attribute ${missing} is missing`);
  return { errno, reason };
}

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
