// Figures and how they are combined. The minimum is the figure to trust on a shared machine; the median shows how far
// neighbours pushed it. Ratios compare minimum with minimum, and both sides are measured in turn, round by round.

/** A sample of durations in one unit. */
export interface Figure {
  readonly min: number;
  readonly median: number;
}

/** One line of the table. */
export interface Row {
  readonly subject: string;
  readonly unit: string;
  readonly ours: Figure;
  /** The same thing done by libbpf or a C loop; undefined when the reference tools are not here. */
  readonly reference?: Figure | undefined;
  /** The same thing done by cilium/ebpf. */
  readonly cilium?: Figure | undefined;
  /** The budget of the project: at most this ratio to the reference, or at most this figure. */
  readonly budget?: { readonly ratio: number } | { readonly limit: number } | undefined;
  readonly note?: string;
}

/** One part of the benchmark. Rounds of all subjects alternate. */
export interface Subject {
  readonly name: string;
  /** Measures once more and keeps the result. */
  round(): void;
  rows(): Row[];
  close?(): void;
}

const byValue = (a: number, b: number): number => a - b;

/** Minimum and median of a sample; NaN of an empty one. */
export function figure(sample: readonly number[]): Figure {
  const sorted = [...sample].sort(byValue);
  return { min: sorted[0] ?? Number.NaN, median: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN };
}

/** Several figures of the same thing as one: the least minimum, the median of the medians. */
export function combine(figures: readonly Figure[]): Figure | undefined {
  if (figures.length === 0) return undefined;
  return {
    min: Math.min(...figures.map(({ min }) => min)),
    median: figure(figures.map(({ median }) => median)).median,
  };
}

/** Runs `body` `runs` times; the duration of each in nanoseconds, divided by `operations`. */
export function time(runs: number, operations: number, body: () => void): number[] {
  const sample: number[] = [];
  for (let run = 0; run < runs; run++) {
    const start = process.hrtime.bigint();
    body();
    sample.push(Number(process.hrtime.bigint() - start) / operations);
  }
  return sample;
}

const number = (value: number): string => value.toFixed(value < 10 ? 2 : value < 1000 ? 1 : 0);

/** What a row's budget comes to: `ok`, `OVER`, or nothing when there is none or nothing to compare with. */
export function verdict(row: Row): { text: string; over: boolean } {
  const { budget, reference, ours } = row;
  if (budget === undefined) return { text: "", over: false };
  if ("ratio" in budget) {
    if (reference === undefined) return { text: `≤ ${budget.ratio} ×`, over: false };
    const over = ours.min / reference.min > budget.ratio;
    return { text: `≤ ${budget.ratio} × ${over ? "OVER" : "ok"}`, over };
  }
  const over = ours.min > budget.limit;
  return { text: `≤ ${budget.limit} ${row.unit} ${over ? "OVER" : "ok"}`, over };
}

const columns = [
  "subject",
  "unit",
  "bpfkit min",
  "median",
  "C min",
  "median",
  "ratio min",
  "median",
  "cilium min",
  "budget",
  "",
];
const isNumber = (column: number): boolean => column >= 2 && column <= 8;

function cells(row: Row): string[] {
  const { ours, reference, cilium } = row;
  return [
    row.subject,
    row.unit,
    number(ours.min),
    number(ours.median),
    reference === undefined ? "-" : number(reference.min),
    reference === undefined ? "-" : number(reference.median),
    reference === undefined ? "-" : `${(ours.min / reference.min).toFixed(2)} ×`,
    reference === undefined ? "-" : `${(ours.median / reference.median).toFixed(2)} ×`,
    cilium === undefined ? "-" : number(cilium.min),
    verdict(row).text,
    row.note ?? "",
  ];
}

/** The rows as an aligned table. */
export function formatTable(rows: readonly Row[]): string {
  const table = [columns, ...rows.map(cells)];
  const widths = columns.map((_, column) => Math.max(...table.map((line) => line[column]!.length)));
  return table
    .map((line) =>
      line
        .map((cell, column) => (isNumber(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** The rows as a table in Markdown. */
export function markdownTable(rows: readonly Row[]): string {
  const rule = columns.map((_, column) => (isNumber(column) ? "---:" : "---"));
  return [columns, rule, ...rows.map(cells)].map((line) => `| ${line.join(" | ")} |`).join("\n");
}
