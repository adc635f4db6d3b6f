// The generator's public names: TypeScript and JavaScript from a BPF object. Pure.

export {
  globalVariables,
  LAYOUT_VERSION,
  type Layout,
  mapShape,
  namedShape,
  typeShape,
} from "./layout.js";
export {
  type GenerateOptions,
  type GenerateTypesOptions,
  generateDeclarations,
  generateSkeleton,
  generateSubskeleton,
  generateTypes,
  type ObjectPlace,
} from "./skeleton.js";
