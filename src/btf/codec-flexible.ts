// Flexible array members: `struct { __u32 length; char text[]; }` says where its elements begin, and whoever has the bytes
// knows how many there are.

import type { Interpreter } from "./codec-interpreter.js";
import { type CompositePlan, type Field, fieldsOf, type Part, type Plan } from "./codec-plan.js";
import { readBytes, readText } from "./codec-strings.js";
import { type BtfValue, setOwn } from "./codec-value.js";

/** The member whose elements go on behind the struct: an array of no length after all others. */
export function flexibleMember(plan: Plan): Field | undefined {
  if (plan.kind !== "struct") return undefined;
  const last = plan.fields.at(-1);
  if (last === undefined || last.plan.size !== 0) return undefined;
  const isArray = last.plan.kind === "array" ? last.plan.element.size > 0 : last.plan.kind !== "struct";
  const isLast = plan.fields.every((field) => field === last || field.offset + field.plan.size <= last.offset);
  return isArray && last.plan.kind !== "union" && isLast ? last : undefined;
}

/** How many elements the flexible member has in `length` bytes. */
export function elementsIn({ offset, plan }: Field, length: number): number {
  const room = length - offset;
  return plan.kind === "array" ? Math.floor(room / plan.element.size) : room;
}

/** The plan of records of `length` bytes, in which the flexible member has as many elements as there is room for. */
export function recordPlan(plan: CompositePlan, member: Field, length: number): CompositePlan {
  const filled: Field = { ...member, plan: filledPlan(member.plan, length - member.offset) };
  const fill = (part: Part): Part => {
    if (part === member) return filled;
    // An anonymous union around the array reaches as far as it does.
    if ("plan" in part || !fieldsOf([part]).includes(member)) return part;
    return { ...part, end: length, alternatives: part.alternatives.map((parts) => parts.map(fill)) };
  };
  const parts = plan.parts.map(fill);
  return { ...plan, size: length, parts, fields: fieldsOf(parts), cost: plan.cost + filled.plan.cost };
}

function filledPlan(plan: Plan, room: number): Plan {
  if (plan.kind !== "array") return { ...plan, size: room } as Plan;
  const count = Math.floor(room / plan.element.size);
  return { ...plan, count, size: count * plan.element.size, cost: plan.element.cost * count + 1 };
}

/** Gives `value`, which was decoded from the `length` bytes at `offset`, the elements that lie in them. */
export function readFlexible(
  value: BtfValue,
  { name, offset: start, plan }: Field,
  interpreter: Interpreter,
  view: DataView,
  offset: number,
  length: number,
): void {
  const members = value as { [name: string]: BtfValue };
  const at = offset + start;
  const room = length - start;
  if (plan.kind === "text") {
    setOwn(members, name, readText(view, at, room));
  } else if (plan.kind === "bytes") {
    setOwn(members, name, readBytes(view, at, room));
  } else if (plan.kind === "array") {
    const { size } = plan.element;
    const read = interpreter.reader(plan.element);
    setOwn(
      members,
      name,
      Array.from({ length: Math.floor(room / size) }, (_, i) => read(view, at + i * size)),
    );
  }
}
