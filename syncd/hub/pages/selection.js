// Which items are selected: by id, whether they are on the screen or not.

export class Selection extends EventTarget {
  #items = new Map();
  #from = null;

  get size() { return this.#items.size; }
  get items() { return [...this.#items.values()]; }
  has(item) { return this.#items.has(item.id); }

  toggle(item) {
    if (!this.#items.delete(item.id)) this.#items.set(item.id, item);
    this.#from = item;
    this.#changed();
  }

  // From the one toggled last up to this one.
  extend(list, item) {
    const [a, b] = [list.indexOf(this.#from ?? item), list.indexOf(item)];
    for (let i = Math.min(a, b); i <= Math.max(a, b); i += 1) {
      const between = list.at(i);
      if (between) this.#items.set(between.id, between);
    }
    this.#changed();
  }

  all(items) {
    for (const item of items) this.#items.set(item.id, item);
    this.#changed();
  }

  // Items changed elsewhere: what left the view is not selected any more.
  refresh(changes, state) {
    const before = this.#items.size;
    for (const item of changes) {
      if (!this.#items.has(item.id)) continue;
      if (item.state === state) this.#items.set(item.id, item);
      else this.#items.delete(item.id);
    }
    if (this.#items.size !== before) this.#changed();
  }

  clear() {
    this.#items.clear();
    this.#from = null;
    this.#changed();
  }

  #changed() { this.dispatchEvent(new Event("change")); }
}
