// The hub's calls (docs/design.md, section 5) and the three things that can go wrong with them.

import { pack } from "./frame.js";

export class SignedOut extends Error {}
export class Away extends Error {}
export class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

// "live", "away" or "out": told to whoever listens when it changes.
export const connection = new EventTarget();
connection.state = "";

function became(state) {
  if (connection.state === "out" || connection.state === state) return;
  connection.state = state;
  connection.dispatchEvent(new Event("change"));
}

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    became("away");
    throw new Away("the hub is not answering");
  }
  if (answer.status === 401) {
    became("out");
    throw new SignedOut("signed out");
  }
  if (answer.status >= 502 && answer.status <= 504) {
    became("away");
    throw new Away("the hub is stopping");
  }
  became("live");
  return answer;
}

async function json(path, options) {
  const answer = await ask(path, options);
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, body.error || `the hub answered ${answer.status}`);
  return body;
}

const post = (path, body, type = "application/json") =>
  json(path, { method: "POST", body, headers: { "Content-Type": type } });

const of = (dataset, rest) => `/v1/datasets/${encodeURIComponent(dataset.id)}/${rest}`;

export const datasets = async () => (await json("/v1/datasets")).datasets;
export const folders = async (dataset) => (await json(of(dataset, "folders"))).folders;

export function items(dataset, { folder, state, after, limit, signal }) {
  const query = new URLSearchParams({ folder, state, limit });
  if (after) query.set("after", after);
  return json(of(dataset, `items?${query}`), { signal });
}

export function changes(dataset, { after, wait = 0, limit = 1000, signal }) {
  return json(of(dataset, `changes?${new URLSearchParams({ after, wait, limit })}`), { signal });
}

// Where the feed stands now: nothing lies behind the greatest number.
export const now = (dataset, signal) =>
  changes(dataset, { after: Number.MAX_SAFE_INTEGER, limit: 1, signal });

const AT_ONCE = 1000;

async function inParts(items, send) {
  const results = [];
  for (let start = 0; start < items.length; start += AT_ONCE) {
    results.push(...(await send(items.slice(start, start + AT_ONCE))).results);
  }
  return results;
}

export const trash = (dataset, items) => inParts(items, (some) => post(
  of(dataset, "batch?source=page"),
  pack(some.map(({ id, version }) => ({ op: "trash", id, expect: version }))),
  "application/vnd.syncd.batch",
));

export const restore = (dataset, items) => inParts(items, (some) => post(
  of(dataset, "restore?source=page"), JSON.stringify({ ids: some.map(({ id }) => id) }),
));

export const emptyTrash = (dataset) => post(of(dataset, "trash/empty"), "{}");

export const content = (item) => `/v1/items/${encodeURIComponent(item.id)}/content`;
export const thumbnail = (item, size) =>
  `/v1/items/${encodeURIComponent(item.id)}/thumbnail?size=${size}&digest=${item.sha256}`;

export const pause = (ms, signal) => new Promise((done, failed) => {
  const timer = setTimeout(done, ms);
  signal?.addEventListener("abort", () => { clearTimeout(timer); failed(signal.reason); });
});
