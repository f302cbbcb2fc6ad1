// The items of one view in the hub's order: fetched page by page as far as they are needed, kept
// true by the change feed, narrowed by a filter. Knows nothing of the screen.

import * as api from "./api.js";
import { below, compare, merged, place } from "./order.js";

const FIRST = 200;
const PAGE = 1000;
const LONGEST_WAIT = 10_000;

export class Listing extends EventTarget {
  #dataset; #folder; #state; #stop = new AbortController();
  #items = []; #byId = new Map(); #fresh = new Map();
  #next = null; #begun = false; #done = false; #loading = false; #target = 0;
  #expected = 0; #filter = ""; #shown = null;

  constructor(dataset, folder, state) {
    super();
    this.#dataset = dataset;
    this.#folder = folder;
    this.#state = state;
  }

  get complete() { return this.#done; }
  get loaded() { return this.#items.length; }
  get filter() { return this.#filter; }

  // How many there are, as far as known: the folder's count until all are loaded.
  get length() {
    if (this.#shown) return this.#shown.length;
    return this.#done ? this.#items.length : Math.max(this.#items.length, this.#expected);
  }

  at(index) { return (this.#shown ?? this.#items)[index] ?? null; }
  get(id) { return this.#byId.get(id) ?? null; }
  all() { return this.#shown ?? this.#items; }

  // Where an item is, or would be if it were here.
  indexOf(item) { return place(this.#shown ?? this.#items, item); }

  expect(count) {
    if (count === this.#expected) return;
    this.#expected = count;
    if (!this.#done) this.#changed();
  }

  // Say that what comes before `index` is wanted; "change" tells when more of it is there.
  need(index) {
    this.#target = Math.max(this.#target, this.#shown ? Infinity : index);
    if (!this.#loading && !this.#done && this.#items.length < this.#target) this.#load();
  }

  async everything() {
    this.need(Infinity);
    while (!this.#done) await new Promise((r) => this.addEventListener("change", r, { once: true }));
  }

  narrow(text) {
    this.#filter = text.toLocaleLowerCase();
    this.#narrow();
    this.need(0);
    this.#changed();
  }

  close() { this.#stop.abort(); }

  // Items as the feed tells them: present, trashed or purged.
  apply(changes) {
    const touched = new Map(changes.map((item) => [item.id, item]));
    const gone = new Set();
    for (const [id, item] of touched) {
      if (!this.#done) this.#fresh.set(id, item);
      if (this.#byId.delete(id)) gone.add(id);
    }
    const kept = gone.size ? this.#items.filter(({ id }) => !gone.has(id)) : this.#items;
    const come = [...touched.values()].filter((item) => this.#belongs(item)).sort(compare);
    this.#put(kept, come);
    if (gone.size || come.length) this.#changed();
  }

  #belongs(item) {
    if (item.state !== this.#state || !below(this.#folder, item)) return false;
    return this.#done || (this.#items.length > 0 && compare(item, this.#items.at(-1)) < 0);
  }

  #put(kept, come) {
    for (const item of come) this.#byId.set(item.id, item);
    this.#items = merged(kept, come);
    this.#narrow();
  }

  #narrow() {
    this.#shown = this.#filter
      ? this.#items.filter((item) => item.name.toLocaleLowerCase().includes(this.#filter)) : null;
  }

  async #load() {
    this.#loading = true;
    let wait = 500;
    while (!this.#done && this.#items.length < this.#target && !this.#stop.signal.aborted) {
      try {
        this.#append(await this.#page());
        wait = 500;
      } catch (error) {
        if (!(error instanceof api.Away)) break;
        await api.pause(wait, this.#stop.signal).catch(() => {});
        wait = Math.min(2 * wait, LONGEST_WAIT);
      }
    }
    this.#loading = false;
  }

  #page() {
    return api.items(this.#dataset, {
      folder: this.#folder,
      state: this.#state,
      after: this.#next,
      limit: this.#begun ? PAGE : FIRST,
      signal: this.#stop.signal,
    });
  }

  // What the feed told since is newer than a page that was on its way.
  #append({ items, next }) {
    const told = (item) => this.#fresh.get(item.id) ?? item;
    const come = items.filter((item) => !this.#byId.has(item.id)).map(told);
    this.#begun = true;
    this.#next = next;
    this.#done = next === null;
    if (this.#done) this.#fresh.clear();
    const good = (item) => item.state === this.#state && below(this.#folder, item);
    this.#put(this.#items, come.filter(good).sort(compare));
    this.#changed();
  }

  #changed() { this.dispatchEvent(new Event("change")); }
}
