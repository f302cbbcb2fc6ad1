// The hub's order: folder, then name, as UTF-8 bytes. That is the order of code points, which
// JavaScript's own comparison of UTF-16 units misses above U+FFFF only.

export function compareText(a, b) {
  if (a === b) return 0;
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i += 1) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

// Surrogates stand for what lies above U+FFFF.
const rank = (unit) => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit);

export function compare(a, b) {
  return compareText(a.folder, b.folder) || compareText(a.name, b.name) || compareText(a.id, b.id);
}

// Where `item` is, or would be, in a sorted list.
export function place(list, item) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare(list[middle], item) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Two sorted lists as one.
export function merged(a, b) {
  if (!b.length) return a;
  const out = new Array(a.length + b.length);
  for (let i = 0, j = 0, k = 0; k < out.length; k += 1) {
    out[k] = j >= b.length || (i < a.length && compare(a[i], b[j]) <= 0) ? a[i++] : b[j++];
  }
  return out;
}

export function below(folder, item) {
  return folder === "/" || item.folder === folder || item.folder.startsWith(`${folder}/`);
}
