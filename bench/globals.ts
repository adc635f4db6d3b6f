// A read of a global variable of a loaded program: a memory access behind a property.
import { figure, type Subject, time } from "./measure.js";
import { type loadBpfkit, pathOf } from "./target.js";

const READS = 1_000_000;

export function globalSubject(bpfkit: Awaited<ReturnType<typeof loadBpfkit>>): Subject {
  const obj = bpfkit.BpfObject.open(pathOf("fixtures/globals.bpf.o"));
  obj.loadSync();
  const wide: number[] = [];
  const narrow: number[] = [];
  const write: number[] = [];
  const member: number[] = [];
  const element: number[] = [];
  const word: number[] = [];
  return {
    name: "global",
    round() {
      const { bss, data } = obj;
      wide.push(
        ...time(5, READS, () => {
          let sum = 0n;
          for (let i = 0; i < READS; i++) sum += bss.bss_runs as bigint;
          if (sum !== 0n) throw new Error(`the program ran: ${sum}`);
        }),
      );
      narrow.push(
        ...time(5, READS, () => {
          let sum = 0;
          for (let i = 0; i < READS; i++) sum += data.data_u32 as number;
          if (sum !== 3 * READS) throw new Error(`data_u32 changed: ${sum}`);
        }),
      );
      const shape = bss.bss_shape as { raw: bigint };
      member.push(
        ...time(5, READS, () => {
          let sum = 0n;
          for (let i = 0; i < READS; i++) sum += shape.raw;
          if (sum !== 0n) throw new Error(`the program ran: ${sum}`);
        }),
      );
      const array = data.data_array as readonly number[];
      element.push(
        ...time(5, READS / 10, () => {
          let sum = 0;
          for (let i = 0; i < READS / 10; i++) sum += array[i & 3]!;
          if (sum !== (100 * READS) / 40) throw new Error(`data_array changed: ${sum}`);
        }),
      );
      const words = bpfkit.typedArray(data.data_array, Int32Array);
      word.push(
        ...time(5, READS, () => {
          let sum = 0;
          for (let i = 0; i < READS; i++) sum += words[i & 3]!;
          if (sum !== (100 * READS) / 4) throw new Error(`data_array changed: ${sum}`);
        }),
      );
      write.push(
        ...time(5, READS, () => {
          for (let i = 0; i < READS; i++) bss.bss_u32 = i;
          if (bss.bss_u32 !== READS - 1) throw new Error("the write was lost");
        }),
      );
    },
    rows() {
      return [
        { subject: "global: read a u64 (bigint)", unit: "ns", ours: figure(wide), budget: { limit: 10 } },
        { subject: "global: read a u32 (number)", unit: "ns", ours: figure(narrow), budget: { limit: 10 } },
        { subject: "global: read a u64 in a struct", unit: "ns", ours: figure(member) },
        { subject: "global: read an element of an array", unit: "ns", ours: figure(element) },
        { subject: "global: read an element by typedArray()", unit: "ns", ours: figure(word) },
        { subject: "global: write a u32", unit: "ns", ours: figure(write) },
      ];
    },
    close: () => obj.close(),
  };
}
