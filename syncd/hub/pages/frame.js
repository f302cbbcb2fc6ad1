// The body of a batch without bodies: moving and removing need none. Layout: syncd/frame.py.

const MAGIC = new TextEncoder().encode("SYNCD\x00\x01\n");

export function pack(ops) {
  const manifest = new TextEncoder().encode(JSON.stringify({ ops }));
  const out = new Uint8Array(MAGIC.length + 4 + manifest.length);
  out.set(MAGIC);
  new DataView(out.buffer).setUint32(MAGIC.length, manifest.length);
  out.set(manifest, MAGIC.length + 4);
  return out;
}
