// Zip archives by PKWARE's APPNOTE, with members that are not really compressed.

/** A member; `method` is what the archive says of it, 0 for stored. */
export interface MemberSpec {
  readonly name: string;
  readonly contents: Uint8Array;
  readonly method?: number;
  readonly flags?: number;
}

/** An archive with these members. */
export function zipArchive(members: readonly MemberSpec[], comment = ""): Uint8Array {
  const local: Uint8Array[] = [];
  const central: Uint8Array[] = [];
  let offset = 0;
  for (const { name, contents, method = 0, flags = 0 } of members) {
    const text = new TextEncoder().encode(name);
    const header = record(30, 0x04034b50, [
      [6, 2, flags],
      [8, 2, method],
      [18, 4, contents.length],
      [22, 4, contents.length],
      [26, 2, text.length],
    ]);
    const entry = record(46, 0x02014b50, [
      [8, 2, flags],
      [10, 2, method],
      [20, 4, contents.length],
      [24, 4, contents.length],
      [28, 2, text.length],
      [42, 4, offset],
    ]);
    local.push(header, text, contents);
    central.push(entry, text);
    offset += header.length + text.length + contents.length;
  }
  const size = central.reduce((sum, part) => sum + part.length, 0);
  const end = record(22, 0x06054b50, [
    [8, 2, members.length],
    [10, 2, members.length],
    [12, 4, size],
    [16, 4, offset],
    [20, 2, comment.length],
  ]);
  return join([...local, ...central, end, new TextEncoder().encode(comment)]);
}

/** Fields are offset, size and value. */
function record(length: number, signature: number, fields: readonly (readonly [number, 2 | 4, number])[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(length));
  view.setUint32(0, signature, true);
  for (const [at, size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
  }
  return new Uint8Array(view.buffer);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
