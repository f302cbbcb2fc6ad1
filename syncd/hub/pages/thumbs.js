// Fetches thumbnails: a few at a time, none that scrolled away, each picture once.

import * as api from "./api.js";

const AT_ONCE = 4; // of the six connections a browser opens: one polls, one lists
const SETTLED = 70; // ms a cell stays before its picture is worth asking for
const KEPT = 600;
const TRIES = 4;

const waiting = new Map(); // img -> {item, size, tries, from: when it may be asked for}
const running = new Map(); // img -> AbortController
const kept = new Map(); // "digest size" -> object URL, oldest use first
const without = new Set(); // digests the hub has no picture for

const key = (item, size) => `${item.sha256} ${size}`;

// Show `item` in `img` as soon as may be; the element stays hidden until then.
export function show(img, item, size) {
  drop(img);
  if (without.has(item.sha256)) return;
  const url = kept.get(key(item, size));
  if (url) {
    keep(key(item, size), url);
    put(img, url);
    return;
  }
  waiting.set(img, { item, size, tries: 0, from: performance.now() + SETTLED });
  next();
}

// Want nothing in `img` any more.
export function drop(img) {
  waiting.delete(img);
  running.get(img)?.abort();
  running.delete(img);
  img.hidden = true;
  img.removeAttribute("src");
}

let timer = 0;

function next() {
  const now = performance.now();
  let soonest = Infinity;
  for (const [img, task] of waiting) {
    if (running.size >= AT_ONCE) break;
    if (task.from > now) {
      soonest = Math.min(soonest, task.from);
    } else {
      waiting.delete(img);
      fetchOne(img, task);
    }
  }
  clearTimeout(timer);
  if (soonest < Infinity) timer = setTimeout(next, soonest - now + 1);
}

async function fetchOne(img, task) {
  const stop = new AbortController();
  running.set(img, stop);
  const mine = () => running.get(img) === stop;
  try {
    const url = await picture(task, stop.signal);
    if (url && mine()) put(img, url);
  } catch (error) {
    if (mine() && !(error instanceof api.SignedOut)) again(img, task);
  }
  if (mine()) running.delete(img);
  next();
}

async function picture({ item, size }, signal) {
  const answer = await api.ask(api.thumbnail(item, size), { signal });
  if (answer.status === 404) {
    without.add(item.sha256);
    return null;
  }
  if (!answer.ok) throw new Error(`the hub answered ${answer.status}`);
  const blob = await answer.blob();
  const name = key(item, size);
  const url = kept.get(name) ?? URL.createObjectURL(blob);
  keep(name, url);
  return url;
}

function keep(name, url) {
  kept.delete(name);
  kept.set(name, url);
  if (kept.size > KEPT) {
    const [oldest, gone] = kept.entries().next().value;
    kept.delete(oldest);
    URL.revokeObjectURL(gone);
  }
}

function again(img, task) {
  if (task.tries + 1 >= TRIES) return;
  const from = performance.now() + 1000 * 2 ** task.tries;
  waiting.set(img, { ...task, from, tries: task.tries + 1 });
}

function put(img, url) {
  img.src = url;
  img.decode().then(() => {
    if (img.getAttribute("src") !== url) return;
    const shape = img.naturalWidth / img.naturalHeight;
    img.classList.toggle("near", shape > 0.98 && shape < 1.8); // of the frame's own 4:3
    img.hidden = false;
  }, () => {});
}
