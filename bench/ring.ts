// Emptying a ring buffer that is full of 40-byte events: decoded for a handler, as an array, and as bytes; beside it
// libbpf's reader on the same ring, which copies each event (ring-loops.c).
import { readFileSync } from "node:fs";
import { compiledObject } from "./compile-object.js";
import { figure, type Subject } from "./measure.js";
import type { References } from "./reference.js";
import { type loadBpfkit, pathOf } from "./target.js";

const EVENTS = 100_000;
const RUNS = 5;
const PID_SUM = (EVENTS * (EVENTS - 1)) / 2;

/** What the decoded events of flood.bpf.c are used for here. */
interface Event {
  readonly pid: number;
}

export function ringSubject(bpfkit: Awaited<ReturnType<typeof loadBpfkit>>, { ring: peer }: References): Subject {
  const obj = bpfkit.BpfObject.open(compiledObject("flood", readFileSync(pathOf("bench/flood.bpf.c"), "utf8")));
  obj.loadSync();
  const map = obj.map("events");
  const program = obj.program("flood");
  const decoded = new bpfkit.RingBuffer<Event>(map, { type: "event" });
  const bytes = new bpfkit.RingBuffer<Uint8Array>(map);
  const request = new Uint8Array(Uint32Array.of(EVENTS).buffer);
  const sum = (events: readonly Event[]): number => events.reduce((total, { pid }) => total + pid, 0);

  const ways = [
    {
      subject: "ring: 40-byte events decoded, to a handler",
      // 30 million events a second (design.md 4).
      budget: { limit: 33 },
      reference: true,
      sample: [] as number[],
      read(): number {
        let total = 0;
        decoded.consume((event) => {
          total += event.pid;
        });
        return total;
      },
    },
    { subject: "ring: the same as an array", sample: [] as number[], read: () => sum(decoded.consume()) },
    {
      subject: "ring: the same as bytes, to a handler",
      sample: [] as number[],
      read(): number {
        let total = 0;
        bytes.consume((event) => {
          total += event[8]! | (event[9]! << 8) | (event[10]! << 16);
        });
        return total;
      },
    },
  ];
  return {
    name: "ring",
    round() {
      for (const { read, sample } of ways) {
        for (let run = 0; run < RUNS; run++) {
          if (program.testRun({ context: request }).returnValue !== EVENTS) throw new Error("the ring is too small");
          const start = process.hrtime.bigint();
          const total = read();
          sample.push(Number(process.hrtime.bigint() - start) / EVENTS);
          if (total !== PID_SUM) throw new Error(`the events' process ids add up to ${total}, not ${PID_SUM}`);
        }
      }
      peer?.run([String(RUNS), String(map.info().id), String(program.info().id), String(EVENTS)]);
    },
    rows: () =>
      ways.map(({ subject, sample, budget, reference }) => ({
        subject,
        unit: "ns",
        ours: figure(sample),
        reference: reference === true ? peer?.figure("consume") : undefined,
        budget,
      })),
    close() {
      decoded.close();
      bytes.close();
      obj.close();
    },
  };
}
