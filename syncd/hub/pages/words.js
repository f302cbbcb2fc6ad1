// How numbers, times and names are said.

const whole = new Intl.NumberFormat();
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

export const number = (n) => whole.format(n);
export const counted = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

export function bytes(n) {
  let unit = 0;
  while (n >= 999.5 && unit < UNITS.length - 1) { n /= 1000; unit += 1; }
  const digits = unit === 0 || n >= 99.5 ? 0 : 1;
  return `${n.toFixed(digits)} ${UNITS[unit]}`;
}

export function when(ns) {
  const date = new Date(ns / 1e6);
  return Number.isNaN(date.getTime()) ? "unknown" : day.format(date);
}

const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

// A name as a person may read it: what has no shape, or turns the text around, is spelled out.
export function visible(name) {
  return name.replace(HIDDEN, (char) => {
    const code = char.codePointAt(0);
    return code < 32 ? String.fromCodePoint(0x2400 + code)
      : `\u2039U+${code.toString(16).toUpperCase().padStart(4, "0")}\u203a`;
  });
}

export function extension(name) {
  const found = /[^.]\.([^.]{1,5})$/u.exec(name);
  return found ? visible(found[1]).toUpperCase() : "FILE";
}
