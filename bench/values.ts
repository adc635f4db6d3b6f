// Values in bulk: decoding one event, reading and writing a hash in batches, as bytes (what the C loop does) and as decoded
// entries.
import { figure, type Subject, time } from "./measure.js";
import type { References } from "./reference.js";
import { builtUrl, type loadBpfkit, pathOf } from "./target.js";

const EVENTS = 100_000;
const ENTRIES = 100_000;
/** Entries a call, as in map-loops.c. */
const READ_BATCH = 4096;
const WRITE_BATCH = 4000;
/** A run takes milliseconds, and the machine is quiet for some of them. */
const BATCH_RUNS = 15;

/** u64 ts, u32 pid, tgid, uid, s32 ret, char comm[16]: the 40 bytes of the decoding budget. */
async function eventDecoder(): Promise<(view: DataView, offset: number) => unknown> {
  const { Btf, BtfBuilder, compileCodec } = (await import(
    builtUrl("btf/index.js")
  )) as typeof import("../src/btf/index.js");
  const builder = new BtfBuilder();
  const [u64, u32] = [builder.addInt("u64", 8), builder.addInt("u32", 4)];
  const s32 = builder.addInt("s32", 4, { signed: true });
  const comm = builder.addArray(builder.addInt("char", 1, { signed: true }), u32, 16);
  const event = builder.addStruct("event", 40, [
    { name: "ts", type: u64, bitOffset: 0 },
    { name: "pid", type: u32, bitOffset: 64 },
    { name: "tgid", type: u32, bitOffset: 96 },
    { name: "uid", type: u32, bitOffset: 128 },
    { name: "ret", type: s32, bitOffset: 160 },
    { name: "comm", type: comm, bitOffset: 192 },
  ]);
  return compileCodec(Btf.parse(builder.build()), event).decode;
}

/** Events of sixteen processes, 48 bytes apart as in a ring. */
function events(): DataView {
  const view = new DataView(new ArrayBuffer(EVENTS * 48));
  for (let i = 0; i < EVENTS; i++) {
    view.setBigUint64(i * 48, 1_000_000_000_000n + BigInt(i), true);
    view.setUint32(i * 48 + 8, i, true);
    new Uint8Array(view.buffer, i * 48 + 24).set(Buffer.from(`process-${i % 16}`));
  }
  return view;
}

export async function valueSubject(
  bpfkit: Awaited<ReturnType<typeof loadBpfkit>>,
  { loops }: References,
): Promise<Subject> {
  const decode = await eventDecoder();
  const view = events();
  const { mapLookupBatch, mapUpdateBatch } = (await import(
    builtUrl("syscall/index.js")
  )) as typeof import("../src/syscall/index.js");
  const entries = Array.from({ length: ENTRIES }, (_, i): [number, bigint] => [i, BigInt(i * 3)]);
  /** Filled in order and not touched again where it is read, as by the C loop: writing scatters a hash over memory. */
  const [readObject, writeObject] = [0, 1].map(() => {
    const opened = bpfkit.BpfObject.open(pathOf("fixtures/minimal.bpf.o"));
    opened.map("syscall_count").maxEntries = 131_072;
    opened.loadSync();
    for (let times = 0; times < 3; times++)
      for (const [key, value] of entries) opened.map("syscall_count").set(key, value);
    return opened;
  }) as [ReturnType<typeof bpfkit.BpfObject.open>, ReturnType<typeof bpfkit.BpfObject.open>];
  const map = readObject.map<number, bigint>("syscall_count");
  const written = writeObject.map<number, bigint>("syscall_count");
  const [keys, values] = [new Uint8Array(4 * READ_BATCH), new Uint8Array(8 * READ_BATCH)];
  const writeKeys = new Uint8Array(Uint32Array.from(entries, ([key]) => key).buffer);
  const writeValues = new Uint8Array(BigUint64Array.from(entries, ([, value]) => value).buffer);
  const writeBytes = (): void => {
    for (let i = 0; i < ENTRIES; i += WRITE_BATCH) {
      const lot = { keys: writeKeys.subarray(i * 4), values: writeValues.subarray(i * 8), count: WRITE_BATCH };
      mapUpdateBatch({ map: written.descriptor, ...lot });
    }
  };
  const samples = { decode: [] as number[], read: [] as number[], write: [] as number[], setAll: [] as number[] };
  const walks = { entries: [] as number[], values: [] as number[] };

  const readBytes = (): void => {
    let from: Uint8Array | undefined;
    let count = 0;
    do {
      const batch = mapLookupBatch({ map: map.descriptor, keys, values, count: READ_BATCH, from });
      count += batch.count;
      from = batch.next;
    } while (from !== undefined);
    if (count !== ENTRIES) throw new Error(`read ${count} entries`);
  };

  return {
    name: "value",
    round() {
      samples.decode.push(
        ...time(5, EVENTS, () => {
          let sum = 0;
          for (let i = 0; i < EVENTS; i++) sum += (decode(view, i * 48) as { pid: number }).pid;
          if (sum !== (EVENTS * (EVENTS - 1)) / 2) throw new Error("decoded wrongly");
        }),
      );
      samples.read.push(...time(BATCH_RUNS, ENTRIES, readBytes));
      samples.write.push(...time(BATCH_RUNS, ENTRIES, writeBytes));
      samples.setAll.push(...time(3, ENTRIES, () => void written.setAll(entries)));
      walks.entries.push(
        ...time(3, ENTRIES, () => {
          let sum = 0;
          for (const [key] of map) sum += key;
          if (sum !== (ENTRIES * (ENTRIES - 1)) / 2) throw new Error("iterated wrongly");
        }),
      );
      walks.values.push(
        ...time(3, ENTRIES, () => {
          let count = 0;
          for (const _ of map.values()) count++;
          if (count !== ENTRIES) throw new Error("iterated wrongly");
        }),
      );
      const run = (label: string, { id }: { id: number }, loop: string): void =>
        loops?.run([label, String(BATCH_RUNS), String(id), String(ENTRIES), loop]);
      run("read", map.info(), "lookup-batch");
      run("written", written.info(), "update-batch");
    },
    rows() {
      const [read, write] = ["read lookup-batch", "written update-batch"].map((name) => loops?.figure(name));
      return [
        { subject: "value: decode a 40-byte event", unit: "ns", ours: figure(samples.decode), budget: { limit: 20 } },
        {
          subject: "value: batch lookup, bytes, per entry",
          unit: "ns",
          ours: figure(samples.read),
          reference: read,
          budget: { ratio: 1.02 },
        },
        {
          subject: "value: batch update, bytes, per entry",
          unit: "ns",
          ours: figure(samples.write),
          reference: write,
          budget: { ratio: 1.02 },
        },
        { subject: "value: setAll, encoded, per entry", unit: "ns", ours: figure(samples.setAll), reference: write },
        { subject: "value: iterate entries, decoded", unit: "ns", ours: figure(walks.entries), reference: read },
        { subject: "value: iterate values(), decoded", unit: "ns", ours: figure(walks.values), reference: read },
      ];
    },
    close() {
      readObject.close();
      writeObject.close();
    },
  };
}
