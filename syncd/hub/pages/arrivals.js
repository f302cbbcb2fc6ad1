// What is arriving now: how many, how fast, and the newest of them.

import { $, el } from "./dom.js";
import * as thumbs from "./thumbs.js";
import { extension, number, visible } from "./words.js";

const SHOWN = 24;
const WINDOW = 5000; // ms the rate is taken over

export class Arrivals {
  #open; #count = 0; #recent = []; #newest = []; #since = 0; #stored = new Map(); #timer = 0;

  constructor(open) { this.#open = open; }

  // Begin anew with the newest items there were; what was stored later than `since` (ns) arrives.
  begin(newest, since) {
    this.#count = 0;
    this.#recent = [];
    this.#since = since;
    this.#stored.clear();
    this.#newest = newest.filter((item) => item.state === "present")
      .sort((a, b) => b.stored_ns - a.stored_ns).slice(0, SHOWN);
    this.#strip();
    this.#words();
  }

  apply(items) {
    const come = items.filter((item) => this.#isNew(item));
    for (const item of come) this.#stored.set(item.id, item.stored_ns);
    if (come.length) {
      this.#count += come.length;
      this.#recent.push({ at: performance.now(), count: come.length });
    }
    this.#merge(items, come);
    this.#words();
  }

  // A move or a restore changes an item without storing anything.
  #isNew(item) {
    return item.state === "present" && item.stored_ns > this.#since
      && this.#stored.get(item.id) !== item.stored_ns;
  }

  #merge(items, come) {
    const changed = new Map(items.map((item) => [item.id, item]));
    const fresh = new Set(come.map(({ id }) => id));
    const kept = this.#newest.filter(({ id }) => !fresh.has(id))
      .map((item) => changed.get(item.id) ?? item).filter(({ state }) => state === "present");
    this.#newest = [...come.slice(-SHOWN).reverse(), ...kept].slice(0, SHOWN);
    this.#strip();
  }

  #strip() {
    const old = new Map([...$("strip").children].map((child) => [child.dataset.key, child]));
    const cells = this.#newest.map((item) => {
      const key = `${item.id} ${item.version}`;
      const cell = old.get(key) ?? this.#cell(item, key);
      old.delete(key);
      return cell;
    });
    for (const gone of old.values()) thumbs.drop(gone.querySelector("img"));
    $("strip").replaceChildren(...cells);
    for (const cell of cells) if (!cell.dataset.asked) ask(cell);
    $("live").hidden = !cells.length;
  }

  #cell(item, key) {
    const cell = el("li", { "data-key": key }, el("button", {
      type: "button", title: visible(item.name), "aria-label": visible(item.name),
      onclick: () => this.#open(item),
    }, el("span", { class: "kind", "aria-hidden": "true" }, extension(item.name)),
    el("img", { alt: "", hidden: true })));
    cell.item = item;
    return cell;
  }

  #words() {
    const now = performance.now();
    this.#recent = this.#recent.filter(({ at }) => now - at < WINDOW);
    const rate = this.#recent.reduce((sum, { count }) => sum + count, 0) / (WINDOW / 1000);
    $("live").classList.toggle("busy", rate > 0);
    $("live-label").textContent = rate > 0 ? "Arriving now" : this.#count ? "Arrived" : "Newest";
    $("live-count").textContent = this.#count ? number(this.#count) : "";
    $("live-rate").textContent = rate > 0 ? `${rate < 10 ? rate.toFixed(1) : number(Math.round(rate))} a second`
      : this.#count ? "in this session" : "nothing right now";
    clearTimeout(this.#timer);
    if (rate > 0) this.#timer = setTimeout(() => this.#words(), 500);
  }
}

function ask(cell) {
  cell.dataset.asked = "yes";
  thumbs.show(cell.querySelector("img"), cell.item, 160);
}
