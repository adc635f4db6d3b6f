// What setting a part of a global variable does to the rest of it: a struct or array is set as a whole, with zeros for
// what is left out; members that are set one by one leave the others. The same before load and after it.

import { describe, expect, it } from "vitest";
import { BpfObject, NotFoundError, StateError, snapshot, type ValueInput } from "../../src/index.js";
import { fixturePath, runSyscall, withLoaded } from "../support/fixtures.js";
import { kernelDescribe } from "../support/needs.js";

interface Span {
  readonly from: number;
  readonly to: number;
}
interface Counter {
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly span: Span;
}
interface Limit {
  readonly rate: bigint;
  readonly burst: number;
}
/** As the generated types have it, for the members that are set here; test/skeleton/compile.test.ts checks the true ones. */
interface Config {
  get limit(): { get rate(): bigint; set rate(value: bigint | number); burst: number };
  set limit(value: ValueInput<Limit>);
  get first(): { packets: bigint; get span(): Span; set span(value: ValueInput<Span>) };
  set first(value: ValueInput<Counter>);
  get rest(): ValueInput<Counter>[];
  set rest(value: ValueInput<readonly Counter[]>);
  get word(): { whole: bigint; get halves(): Span; set halves(value: ValueInput<Span>) };
  set word(value: ValueInput<{ readonly whole: bigint; readonly halves: Span }>);
  label: string;
}

const settings = (obj: BpfObject): Config => obj.rodata.settings as unknown as Config;
const state = (obj: BpfObject): Config => obj.data.state as unknown as Config;
const plain = (config: Config): object => snapshot(config) as object;

describe.each([
  ["constants", settings],
  ["variables", state],
] as const)("%s before load", (_, of) => {
  it("are set struct by struct, where what is left out becomes zero and what lies around stays", () => {
    using obj = BpfObject.open(fixturePath("views"));
    const config = of(obj);
    const before = plain(config);
    config.first = { bytes: 2, span: { to: 9 } };
    expect(plain(config)).toEqual({ ...before, first: { packets: 0n, bytes: 2n, span: { from: 0, to: 9 } } });
    config.first.span = { from: 5 };
    config.limit = { burst: 3 };
    expect(plain(config)).toEqual({
      ...before,
      first: { packets: 0n, bytes: 2n, span: { from: 5, to: 0 } },
      limit: { rate: 0n, burst: 3 },
    });
    config.first = {};
    expect(snapshot(config.first)).toEqual({ packets: 0n, bytes: 0n, span: { from: 0, to: 0 } });
  });

  it("are set element by element and member by member, where the others stay", () => {
    using obj = BpfObject.open(fixturePath("views"));
    const config = of(obj);
    const { rest, limit, label } = snapshot(config);
    config.rest[0] = { packets: 1 };
    expect(config.rest).toEqual([{ packets: 1n, bytes: 0n, span: { from: 0, to: 0 } }, rest[1]]);
    Object.assign(config.rest[1]!, { packets: 2 });
    expect(config.rest[1]).toEqual({ ...(rest[1] as Counter), packets: 2n });
    Object.assign(config.limit, { burst: 5 });
    expect(snapshot(config.limit)).toEqual({ rate: limit.rate, burst: 5 });
    config.limit.rate = 7;
    expect(snapshot(config.limit)).toEqual({ rate: 7n, burst: 5 });
    expect(() => Object.assign(config.limit, { bust: 5 })).toThrow(NotFoundError);
    config.word = { halves: { to: 1 } };
    expect(config.word.whole).toBe(1n << 32n);
    config.word.halves = { from: 3 };
    expect(config.word.whole).toBe(3n);
    config.rest = [{ span: { to: 4 } }];
    expect(config.rest).toEqual([
      { packets: 0n, bytes: 0n, span: { from: 0, to: 4 } },
      { packets: 0n, bytes: 0n, span: { from: 0, to: 0 } },
    ]);
    expect(config.label).toBe(label);
  });

  it("are set by views of others", () => {
    using obj = BpfObject.open(fixturePath("views"));
    const other = of === settings ? state(obj) : settings(obj);
    const config = of(obj);
    config.first = other.rest[0] as ValueInput<Counter>;
    expect(config.first).toEqual(other.rest[0]);
    expect(config.limit).not.toEqual(other.limit);
  });
});

kernelDescribe("views of a loaded object", { needs: ["syscall_program"] }, () => {
  it("are set in the program's memory, constants before load only", async () => {
    const edit = (obj: BpfObject): void => {
      settings(obj).first = { bytes: 2000 };
      Object.assign(settings(obj).rest[1]!, { packets: 3000 });
      state(obj).limit = { burst: 4 };
      const kconfig = obj.globals(".kconfig");
      expect(() => {
        kconfig.CONFIG_HZ = 5;
      }).toThrow(StateError);
    };
    const run = (obj: BpfObject): bigint => {
      runSyscall(obj, "add_all");
      return obj.bss.sum as bigint;
    };
    await withLoaded(
      "views",
      edit,
      (obj) => {
        const constants = 100n + 10n + 2000n + 5n + 6n + 3000n + 8n + 9n;
        const first = 10n + 20n + 30n + 40n;
        const rest = 50n + 60n + 70n + 80n + 90n;
        expect(run(obj)).toBe(constants + 4n + first + rest);
        state(obj).first.span = { to: 1 };
        Object.assign(state(obj).limit, { rate: 5 });
        expect(run(obj)).toBe(constants + 5n + 4n + 10n + 20n + 1n + rest);
        state(obj).first = { packets: 1 };
        state(obj).rest[0] = { bytes: 2 };
        obj.bss.unnamed = { sent: { packets: 7n } };
        expect(run(obj)).toBe(constants + 5n + 4n + 1n + 2n + 90n + 7n);
        expect(obj.bss.hz).toBe(77n);

        const before = plain(settings(obj));
        expect(() => {
          settings(obj).first = { bytes: 1 };
        }).toThrow(/settings is read-only once the object is loaded/);
        expect(() => Object.assign(settings(obj).limit, { burst: 1 })).toThrow(StateError);
        expect(plain(settings(obj))).toEqual(before);
        const kconfig = obj.globals(".kconfig");
        expect(() => {
          kconfig.CONFIG_HZ = 5;
        }).toThrow(/CONFIG_HZ is read-only/);
        expect(kconfig.CONFIG_HZ).toBe(77);
      },
      { kconfig: "CONFIG_HZ=77" },
    );
  });
});
