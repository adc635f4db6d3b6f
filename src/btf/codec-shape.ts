// What a value looks like, as a short text: the same for two types whose values look the same in JavaScript, whatever
// their offsets. Generated skeletons carry these texts and compare them with the object that they are given.

import { type Plan, planType, type TypeSource } from "./codec-plan.js";

/**
 * The shape of the values of a type: `u32`, `s64[4]`, `char[16]`, or for structs and unions a hash over names and shapes
 * of the members in order, such as `struct#0f3c5a…`.
 *
 * @throws BtfError as compileCodec does
 */
export function valueShape(btf: TypeSource, typeId: number): string {
  return shapeOf(planType(btf, typeId, {}), new Map());
}

/** @param known plans are shared: a type that is used many times is written once */
function shapeOf(plan: Plan, known: Map<Plan, string>): string {
  let shape = known.get(plan);
  if (shape === undefined) {
    shape = describe(plan, known);
    known.set(plan, shape);
  }
  return shape;
}

function describe(plan: Plan, known: Map<Plan, string>): string {
  switch (plan.kind) {
    case "int":
      return `${plan.signed ? "s" : "u"}${plan.size * 8}`;
    case "bool":
    case "float":
      return `${plan.kind}${plan.size * 8}`;
    case "bits":
      return `${plan.signed ? "s" : "u"}${plan.slot.bits}:${plan.result}`;
    case "text":
      return `char[${plan.size}]`;
    case "bytes":
      return `u8[${plan.size}]`;
    case "array":
      return `${shapeOf(plan.element, known)}[${plan.count}]`;
    case "struct":
    case "union": {
      const fields = plan.fields.map((field) => `${JSON.stringify(field.name)}:${shapeOf(field.plan, known)}`);
      return `${plan.kind}#${textHash(fields.join(";"))}`;
    }
  }
}

/** 64 bits over a text, as 16 hexadecimal digits: tells versions apart, is no protection against anybody. */
export function textHash(text: string): string {
  // Two FNV-1a hashes of 32 bits with different beginnings.
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code ^ (low >>> 15), 0x01000193);
  }
  return [high, low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}
