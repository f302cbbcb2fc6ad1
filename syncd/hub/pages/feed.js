// What changes in one dataset, told as it happens: a long poll that survives a hub that is away.

import * as api from "./api.js";

const WAIT = 50; // seconds a poll is held by the hub
const BREATH = 250; // ms between polls: what arrives in a burst is told in gulps
const LONGEST_WAIT = 10_000;

export class Feed {
  #dataset; #told; #stop = new AbortController();
  #cursor = 0; #generation = null;

  // told.items(items) in their order of change; told.restored() when the hub is another one now.
  constructor(dataset, told) {
    this.#dataset = dataset;
    this.#told = told;
  }

  close() { this.#stop.abort(); }

  // Find out where the feed stands; what is fetched after this is not older than that.
  async begin(recent) {
    const now = await api.now(this.#dataset, this.#stop.signal);
    this.#cursor = now.cursor;
    this.#generation = now.generation;
    const after = Math.max(0, now.cursor - recent);
    const last = await api.changes(this.#dataset, { after, limit: recent, signal: this.#stop.signal });
    return last.items;
  }

  async follow() {
    let wait = 500;
    while (!this.#stop.signal.aborted) {
      try {
        await seen(this.#stop.signal);
        await this.#once();
        wait = 500;
        await api.pause(BREATH, this.#stop.signal);
      } catch (error) {
        if (this.#stop.signal.aborted || error instanceof api.SignedOut) return;
        await api.pause(wait, this.#stop.signal).catch(() => {});
        wait = Math.min(2 * wait, LONGEST_WAIT);
      }
    }
  }

  async #once() {
    const answer = await api.changes(this.#dataset, {
      after: this.#cursor, wait: WAIT, signal: this.#stop.signal,
    });
    if (answer.generation !== this.#generation) {
      this.close();
      this.#told.restored();
      return;
    }
    this.#cursor = answer.cursor;
    if (answer.items.length) this.#told.items(answer.items);
  }
}

// A page nobody looks at asks for nothing: browsers have few connections.
function seen(signal) {
  if (!document.hidden) return undefined;
  return new Promise((done) => {
    document.addEventListener("visibilitychange", () => done(), { once: true, signal });
    signal.addEventListener("abort", () => done());
  });
}
