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
        { subject: "global: write a u32", unit: "ns", ours: figure(write) },
      ];
    },
    close: () => obj.close(),
  };
}
