// Netlink messages: what is written is read again, and damaged ones neither throw nor loop.

import { describe, expect, it } from "vitest";
import {
  attributesOf,
  joinBytes,
  messagesOf,
  netlinkAttribute,
  netlinkMessage,
  numberAttribute,
  structBytes,
  textAttribute,
  verdictOf,
} from "../../src/syscall/netlink-message.js";

const message = (body: Uint8Array, type = 2, flags = 0) => ({ type, flags, sequence: 7, port: 9, body });

describe("netlink messages", () => {
  it("come back as they were written", () => {
    const attributes = joinBytes(
      textAttribute(1, "bpf"),
      netlinkAttribute(2, [numberAttribute(6, -1), textAttribute(7, "name:[1]")]),
    );
    expect(attributes.length % 4).toBe(0);
    const read = attributesOf(attributes);
    expect(read.text(1)).toBe("bpf");
    expect(read.nested(2)?.number(6)).toBe(0xffff_ffff);
    expect(read.nested(2)?.text(7)).toBe("name:[1]");
    expect(read.number(1)).toBe(0x00667062);
    expect([read.number(3), read.nested(3), read.text(3)]).toEqual([undefined, undefined, undefined]);
    const two = joinBytes(netlinkMessage(message(attributes)), netlinkMessage(message(new Uint8Array(0), 3)));
    expect(messagesOf(two)).toEqual([message(attributes), message(new Uint8Array(0), 3)]);
    expect(() => netlinkAttribute(1, new Uint8Array(65_532))).toThrow("too long");
  });

  it("that are damaged are told or cut off", () => {
    const whole = netlinkMessage(message(numberAttribute(1, 5)));
    for (let length = 1; length < whole.length; length++) expect(messagesOf(whole.subarray(0, length))).toBeUndefined();
    expect(messagesOf(structBytes(16, [[0, 4, 0]]))).toBeUndefined();
    expect(messagesOf(structBytes(16, [[0, 4, 0xffff_ffff]]))).toBeUndefined();
    expect(attributesOf(structBytes(8, [[0, 2, 0]])).bytes(0)).toBeUndefined();
    expect(attributesOf(structBytes(8, [[0, 2, 9]])).bytes(0)).toBeUndefined();
  });

  it("say why a request was refused", () => {
    const refused = structBytes(20, [
      [0, 4, -22],
      [4, 4, 36],
    ]);
    const reason = textAttribute(1, "no such thing");
    const capped = message(joinBytes(refused, reason), 2, 0x300);
    expect(verdictOf(capped)).toEqual({ errno: 22, reason: "no such thing" });
    const echoed = message(joinBytes(refused, new Uint8Array(20), reason), 2, 0x200);
    expect(verdictOf(echoed)).toEqual({ errno: 22, reason: "no such thing" });
    expect(verdictOf(message(refused))).toEqual({ errno: 22, reason: undefined });
    expect(verdictOf(message(structBytes(4, [[0, 4, 0]]), 3))).toEqual({ errno: 0, reason: undefined });
    expect(verdictOf(message(new Uint8Array(3)))).toBeUndefined();
    expect(verdictOf(message(refused.subarray(0, 8), 2, 0x200))).toBeUndefined();
    const lying = structBytes(20, [
      [0, 4, -1],
      [4, 4, 0xffff_ffff],
    ]);
    expect(verdictOf(message(lying, 2, 0x200))).toEqual({ errno: 1, reason: undefined });
  });
});
