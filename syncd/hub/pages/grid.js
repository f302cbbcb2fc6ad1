// The gallery: only the cells that can be seen exist, and they are used again as one scrolls.
//
// Index i sits in slot i + lead. The lead is what keeps the view still while items arrive above
// it: instead of moving every visible cell along, the grid begins with up to one row of gaps.

import { framed } from "./dom.js";
import { Tile } from "./tile.js";

const GAP = 12;
const CAPTION = 30;
const OVERSCAN = 1.5; // rows above and below
const AHEAD = 400; // items asked for before they are scrolled to
const WIDTHS = { s: 112, m: 176, l: 264 };

export class Grid extends EventTarget {
  #root; #sizer; #list = null; #selection; #tiles = new Map(); #spare = []; #made = 0;
  #columns = 1; #width = 0; #row = 1; #lead = 0; #anchor = null; #scale = "m"; #paint;
  #active = 0; #activeItem = null;

  constructor(root, sizer, selection) {
    super();
    this.#root = root;
    this.#sizer = sizer;
    this.#selection = selection;
    this.#paint = framed(() => this.#draw());
    root.addEventListener("scroll", this.#paint, { passive: true });
    root.addEventListener("focus", this.#paint);
    selection.addEventListener("change", this.#paint);
    new ResizeObserver(() => this.#measure()).observe(root);
  }

  get columns() { return this.#columns; }
  get rows() { return Math.max(1, Math.floor(this.#root.clientHeight / this.#row)); }
  get active() { return this.#active; }
  get list() { return this.#list; }

  set scale(scale) {
    this.#scale = scale;
    this.#measure();
  }

  show(list) {
    this.#list = list;
    list.addEventListener("change", () => this.#list === list && this.#changed());
    this.rewind();
  }

  // Back to the beginning: what is listed is another choice now.
  rewind() {
    this.#lead = this.#active = this.#root.scrollTop = 0;
    this.#anchor = this.#activeItem = null;
    this.#changed();
  }

  // The index of the cell that was hit, -1 beside all of them.
  indexAt(target) {
    const root = target.closest?.(".tile");
    for (const tile of this.#tiles.values()) if (tile.root === root) return tile.index;
    return -1;
  }

  // Make an index the one that keys act on, and bring it into view.
  activate(index) {
    this.#active = Math.max(0, Math.min(index, this.#list.length - 1));
    this.#activeItem = this.#list.at(this.#active);
    const top = Math.floor((this.#active + this.#lead) / this.#columns) * this.#row;
    const view = this.#root;
    if (top < view.scrollTop) view.scrollTop = top;
    const bottom = top + this.#row + GAP - view.clientHeight;
    if (bottom > view.scrollTop) view.scrollTop = bottom;
    this.#paint();
  }

  #measure() {
    const inner = this.#sizer.clientWidth;
    if (inner <= 0) return;
    this.#columns = Math.max(2, Math.floor((inner + GAP) / (WIDTHS[this.#scale] + GAP)));
    this.#width = (inner - GAP * (this.#columns - 1)) / this.#columns;
    this.#row = Math.round(this.#width * 0.75) + CAPTION + GAP;
    this.#lead = 0;
    this.#size();
    if (this.#anchor && this.#list) {
      const slot = this.#list.indexOf(this.#anchor.item);
      this.#root.scrollTop = Math.floor(slot / this.#columns) * this.#row + this.#anchor.offset;
    }
    this.#paint();
  }

  #size() {
    const rows = Math.ceil(((this.#list?.length ?? 0) + this.#lead) / this.#columns);
    this.#sizer.style.height = `${rows * this.#row}px`;
  }

  #changed() {
    this.#hold();
    this.#size();
    if (this.#activeItem) this.#active = this.#list.indexOf(this.#activeItem);
    this.#active = Math.max(0, Math.min(this.#active, this.#list.length - 1));
    this.#paint();
  }

  // Keep what is seen where it is, whatever came or went above it.
  #hold() {
    if (!this.#anchor) return;
    const slot = this.#anchor.index + this.#lead;
    const index = this.#list.indexOf(this.#anchor.item);
    const lead = (((slot - index) % this.#columns) + this.#columns) % this.#columns;
    const rows = (index + lead - slot) / this.#columns;
    this.#lead = lead;
    this.#anchor.index = index;
    if (rows) {
      this.#size();
      this.#root.scrollTop += rows * this.#row;
    }
  }

  #draw() {
    if (!this.#list || !this.#width) return;
    const top = this.#root.scrollTop;
    if (top < this.#row / 2 && this.#lead) {
      this.#lead = 0;
      this.#size();
    }
    const first = Math.max(0, Math.floor(top / this.#row - OVERSCAN)) * this.#columns - this.#lead;
    const end = Math.ceil((top + this.#root.clientHeight) / this.#row + OVERSCAN) * this.#columns;
    const [from, to] = [Math.max(0, first), Math.min(this.#list.length, end - this.#lead)];
    this.#list.need(to + AHEAD);
    this.#recycle(from, to);
    for (let index = from; index < to; index += 1) this.#cell(index);
    this.#settle(top);
    this.dispatchEvent(new Event("draw"));
  }

  // Remember the first cell wholly in view. At the very top there is none: new ones may show.
  #settle(top) {
    this.#anchor = null;
    const row = Math.ceil(top / this.#row);
    const index = Math.max(0, row * this.#columns - this.#lead);
    const item = this.#list.at(index);
    if (item && top >= this.#row / 2) {
      this.#anchor = { item, index, offset: top - row * this.#row };
    }
    const active = this.#tiles.get(this.#key(this.#active));
    if (active) this.#root.setAttribute("aria-activedescendant", active.root.id);
    else this.#root.removeAttribute("aria-activedescendant");
  }

  // A cell keeps its item while that moves about; cells of items out of view are free.
  #recycle(from, to) {
    const wanted = new Set();
    for (let index = from; index < to; index += 1) wanted.add(this.#key(index));
    for (const [key, tile] of this.#tiles) {
      if (wanted.has(key)) continue;
      this.#tiles.delete(key);
      this.#spare.push(tile);
      tile.rest();
    }
  }

  #key(index) { return this.#list.at(index)?.id ?? index; }

  #cell(index) {
    const tile = this.#tiles.get(this.#key(index)) ?? this.#taken(this.#key(index));
    const item = this.#list.at(index);
    const slot = index + this.#lead;
    const pixels = this.#width * Math.min(devicePixelRatio, 2);
    tile.show(item, pixels <= 160 ? 160 : pixels <= 340 ? 320 : 640);
    tile.at((slot % this.#columns) * (this.#width + GAP),
      Math.floor(slot / this.#columns) * this.#row, this.#width);
    tile.mark(index, this.#list.length, {
      selected: Boolean(item && this.#selection.has(item)), active: index === this.#active,
    });
  }

  #taken(key) {
    const tile = this.#spare.pop() ?? new Tile(`tile-${this.#made++}`);
    if (!tile.root.isConnected) this.#sizer.append(tile.root);
    this.#tiles.set(key, tile);
    return tile;
  }
}
