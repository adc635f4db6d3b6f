// Layouts as compilers make them. The BTF and the bytes of `o` below come from clang 19 (`clang-19 -target bpfel -g -O2 -c
// layout.c`, and `bpfeb`; sections .BTF and .data); gcc on x86-64 gives the same bytes as bpfel.
//
// typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
// enum color { RED = -1, GREEN = 2 };
// struct bits {
//   u32 a : 3;
//   int b : 7;
//   u32 c : 22;
//   u8 d : 4;
//   signed char e : 4;
//   u64 f : 40;
//   long long g : 20;
//   _Bool h : 1;
//   enum color k : 4;
//   u32 full : 32;
// };
// struct __attribute__((packed)) packed {
//   u8 tag;
//   u32 x : 13;
//   u32 y : 27;
//   u64 z : 61;
//   int w : 5;
//   u64 v : 64;
//   u16 tail;
// };
// struct outer {
//   char c;
//   struct { u16 in; union { u32 word; u8 raw[4]; }; };
//   struct bits bits;
//   struct packed packed;
//   u32 over __attribute__((aligned(32)));
//   char name[5];
//   short grid[2][3];
// };
// struct outer o = {
//   .c = 'x', .in = 0xbeef, .word = 0x01020304,
//   .bits = { .a = 5, .b = -33, .c = 0x2aaaaa, .d = 9, .e = -3, .f = 0xabcdef0123ull, .g = -1234, .h = 1, .k = RED, .full = 0xfeedface },
//   .packed = { .tag = 0x7f, .x = 0x1234, .y = 0x5abcdef, .z = 0x123456789abcdefull, .w = -7, .v = 0xfedcba9876543210ull, .tail = 0xcafe },
//   .over = 0xdeadbeef, .name = "hello", .grid = { { 1, -2, 3 }, { -4, 5, -6 } },
// };

import { describe, expect, it } from "vitest";
import { Btf } from "../../src/btf/btf.js";
import { type BtfValue, compileCodec } from "../../src/btf/codec.js";

const compiled = [
  {
    order: "little endian",
    btf:
      "n+sBABgAAAAAAAAAEAMAABADAAD7AAAAAQAAAAcAAASAAAAABwAAAAIAAAAAAAAAAAAAAAMAAAAgAAAACQAAAA0AAACAAAAADgAAABUAAABAAQAA" +
      "FQAAAAcAAAAAAwAAGgAAABYAAAAgAwAAHwAAABkAAABQAwAAJAAAAAAAAAEBAAAACAAAAQAAAAACAAAECAAAACkAAAAEAAAAAAAAAAAAAAAGAAAA" +
      "IAAAACwAAAAAAAAIBQAAADAAAAAAAAABAgAAABAAAAAAAAAAAgAABQQAAAA/AAAABwAAAAAAAABEAAAACwAAAAAAAABIAAAAAAAACAgAAABMAAAA" +
      "AAAAAQQAAAAgAAAAWQAAAAAAAAgKAAAAXAAAAAAAAAEBAAAACAAAAAAAAAAAAAADAAAAAAkAAAAMAAAABAAAAGoAAAAAAAABBAAAACAAAAAJAAAA" +
      "CgAAhBgAAAB+AAAABwAAAAAAAAOAAAAADgAAAAMAAAcHAAAABwAAAAoAABaCAAAACQAAACAAAASEAAAADwAAACQAAASGAAAAEAAAAEAAACiIAAAA" +
      "EgAAAGgAABSKAAAAEwAAAHwAAAGMAAAAFAAAAIAAAASOAAAABwAAAKAAACCTAAAAAAAAAQQAAAAgAAABlwAAAAAAAAEBAAAACAAAAaMAAAAAAAAI" +
      "EQAAAKcAAAAAAAABCAAAAEAAAAC6AAAAAAAAAQgAAABAAAABxAAAAAAAAAEBAAAACAAABMoAAAACAACGBAAAANAAAAD/////1AAAAAIAAAAOAAAA" +
      "BwAAhBkAAADaAAAACQAAAAAAAADeAAAABwAAAAgAAA3gAAAABwAAABUAABviAAAAEAAAADAAAD3kAAAADgAAAG0AAAXmAAAAEAAAAHIAAEDoAAAA" +
      "BAAAALgAAAAAAAAAAAAAAwAAAAACAAAADAAAAAUAAADtAAAAAAAAAQIAAAAQAAABAAAAAAAAAAMAAAAAFwAAAAwAAAADAAAAAAAAAAAAAAMAAAAA" +
      "GAAAAAwAAAACAAAA8wAAAAAAAA4BAAAAAQAAAPUAAAABAAAPAAAAABoAAAAAAAAAgAAAAABvdXRlcgBjAGJpdHMAcGFja2VkAG92ZXIAbmFtZQBn" +
      "cmlkAGNoYXIAaW4AdTE2AHVuc2lnbmVkIHNob3J0AHdvcmQAcmF3AHUzMgB1bnNpZ25lZCBpbnQAdTgAdW5zaWduZWQgY2hhcgBfX0FSUkFZX1NJ" +
      "WkVfVFlQRV9fAGEAYgBkAGUAZgBnAGgAawBmdWxsAGludABzaWduZWQgY2hhcgB1NjQAdW5zaWduZWQgbG9uZyBsb25nAGxvbmcgbG9uZwBfQm9v" +
      "bABjb2xvcgBSRUQAR1JFRU4AdGFnAHgAeQB6AHcAdgB0YWlsAHNob3J0AG8ALmRhdGEA",
    data:
      "78000000efbe00000403020100000000fdaaaaaad90000002301efcdab2efb1f" +
      "0f000000cefaedfe7f34f2bd79b5efcdab896745232143c850d961ea72fb03fe" +
      "ca00000000000000000000000000000000000000000000000000000000000000" +
      "efbeadde68656c6c6f000100feff0300fcff0500faff00000000000000000000",
  },
  {
    order: "big endian",
    btf:
      "658BAAAAABgAAAAAAAADEAAAAxAAAAD7AAAAAQQAAAcAAACAAAAABwAAAAIAAAAAAAAAAAAAAAMAAAAgAAAACQAAAA0AAACAAAAADgAAABUAAAFA" +
      "AAAAFQAAAAcAAAMAAAAAGgAAABYAAAMgAAAAHwAAABkAAANQAAAAJAEAAAAAAAABAQAACAAAAAAEAAACAAAACAAAACkAAAAEAAAAAAAAAAAAAAAG" +
      "AAAAIAAAACwIAAAAAAAABQAAADABAAAAAAAAAgAAABAAAAAABQAAAgAAAAQAAAA/AAAABwAAAAAAAABEAAAACwAAAAAAAABICAAAAAAAAAgAAABM" +
      "AQAAAAAAAAQAAAAgAAAAWQgAAAAAAAAKAAAAXAEAAAAAAAABAAAACAAAAAADAAAAAAAAAAAAAAkAAAAMAAAABAAAAGoBAAAAAAAABAAAACAAAAAJ" +
      "hAAACgAAABgAAAB+AAAABwMAAAAAAACAAAAADgcAAAMAAAAHAAAABxYAAAoAAACCAAAACQQAACAAAACEAAAADwQAACQAAACGAAAAECgAAEAAAACI" +
      "AAAAEhQAAGgAAACKAAAAEwEAAHwAAACMAAAAFAQAAIAAAACOAAAAByAAAKAAAACTAQAAAAAAAAQBAAAgAAAAlwEAAAAAAAABAQAACAAAAKMIAAAA" +
      "AAAAEQAAAKcBAAAAAAAACAAAAEAAAAC6AQAAAAAAAAgBAABAAAAAxAEAAAAAAAABBAAACAAAAMqGAAACAAAABAAAAND/////AAAA1AAAAAIAAAAO" +
      "hAAABwAAABkAAADaAAAACQAAAAAAAADeAAAABw0AAAgAAADgAAAABxsAABUAAADiAAAAED0AADAAAADkAAAADgUAAG0AAADmAAAAEEAAAHIAAADo" +
      "AAAABAAAALgAAAAAAwAAAAAAAAAAAAACAAAADAAAAAUAAADtAQAAAAAAAAIBAAAQAAAAAAMAAAAAAAAAAAAAFwAAAAwAAAADAAAAAAMAAAAAAAAA" +
      "AAAAGAAAAAwAAAACAAAA8w4AAAAAAAABAAAAAQAAAPUPAAABAAAAAAAAABoAAAAAAAAAgABvdXRlcgBjAGJpdHMAcGFja2VkAG92ZXIAbmFtZQBn" +
      "cmlkAGNoYXIAaW4AdTE2AHVuc2lnbmVkIHNob3J0AHdvcmQAcmF3AHUzMgB1bnNpZ25lZCBpbnQAdTgAdW5zaWduZWQgY2hhcgBfX0FSUkFZX1NJ" +
      "WkVfVFlQRV9fAGEAYgBkAGUAZgBnAGgAawBmdWxsAGludABzaWduZWQgY2hhcgB1NjQAdW5zaWduZWQgbG9uZyBsb25nAGxvbmcgbG9uZwBfQm9v" +
      "bABjb2xvcgBSRUQAR1JFRU4AdGFnAHgAeQB6AHcAdgB0YWlsAHNob3J0AG8ALmRhdGEA",
    data:
      "78000000beef00000102030400000000b7eaaaaa9d000000abcdef0123ffb2e8" +
      "f0000000feedface7f91a5abcdef091a2b3c4d5e6f7e7fb72ea61d950c8400ca" +
      "fe00000000000000000000000000000000000000000000000000000000000000" +
      "deadbeef68656c6c6f000001fffe0003fffc0005fffa00000000000000000000",
  },
];

const expected = {
  c: 120,
  in: 0xbeef,
  word: 0x01020304,
  raw: Uint8Array.of(4, 3, 2, 1),
  bits: {
    a: 5,
    b: -33,
    c: 0x2aaaaa,
    d: 9,
    e: -3,
    f: 0xabcdef0123n,
    g: -1234n,
    h: true,
    k: -1,
    full: 0xfeedface,
  },
  packed: {
    tag: 0x7f,
    x: 0x1234,
    y: 0x5abcdef,
    z: 0x123456789abcdefn,
    w: -7,
    v: 0xfedcba9876543210n,
    tail: 0xcafe,
  },
  over: 0xdeadbeef,
  name: "hello",
  grid: [
    [1, -2, 3],
    [-4, 5, -6],
  ],
};

describe.each(compiled)("a struct of clang, $order", ({ order, btf: btfText, data: hex }) => {
  const btf = Btf.parse(Uint8Array.from(Buffer.from(btfText, "base64")));
  const data = Uint8Array.from(Buffer.from(hex, "hex"));
  const value = { ...expected, raw: order === "big endian" ? Uint8Array.of(1, 2, 3, 4) : expected.raw };
  const id = btf.findByName("outer", "struct");

  it.each([true, false])("decodes and encodes to the same bytes (generated code: %s)", (codegen) => {
    if (id === undefined) throw new Error("struct outer is missing");
    const codec = compileCodec(btf, id, { codegen });
    expect(codec.size).toBe(data.length);
    expect(codec.decode(new DataView(data.buffer), 0)).toStrictEqual(value);
    const out = new Uint8Array(data.length).fill(0xaa);
    codec.encode(new DataView(out.buffer), 0, value as unknown as BtfValue);
    expect(out).toEqual(data);
  });
});
