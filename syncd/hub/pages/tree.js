// The side: datasets, the open one's folders as a tree, its trash.

import { $, el, icon } from "./dom.js";
import { compareText } from "./order.js";
import { number, visible } from "./words.js";

const AT_ONCE = 200; // folders shown of one level before one asks for more

// {"/": {items, bytes, children}} from the hub's flat list; counts include what lies below.
export function grow(folders) {
  const root = { path: "/", name: "", items: 0, bytes: 0, children: new Map() };
  for (const { folder, items, bytes } of folders) {
    let node = root;
    add(node, items, bytes);
    for (const name of folder === "/" ? [] : folder.slice(1).split("/")) {
      node = child(node, name);
      add(node, items, bytes);
    }
  }
  return root;
}

function add(node, items, bytes) {
  node.items += items;
  node.bytes += bytes;
}

function child(node, name) {
  let found = node.children.get(name);
  if (!found) {
    const path = `${node.path === "/" ? "" : node.path}/${name}`;
    found = { path, name, items: 0, bytes: 0, children: new Map() };
    node.children.set(name, found);
  }
  return found;
}

export function find(root, folder) {
  let node = root;
  for (const name of folder === "/" ? [] : folder.slice(1).split("/")) {
    node = node?.children.get(name);
  }
  return node ?? null;
}

const row = (link, here, mark, label, count) => {
  const made = el("a", { href: link, title: label, class: "row" }, icon(mark),
    el("span", { class: "label", dir: "auto" }, label),
    el("span", { class: "count" }, count === null ? "" : number(count)));
  if (here) made.setAttribute("aria-current", "page");
  return made;
};

export function drawDatasets(datasets, view, link) {
  $("datasets").replaceChildren(...datasets.map((dataset) => el("li", {}, row(
    link({ dataset: dataset.name }), dataset.name === view.dataset, "stack",
    visible(dataset.name), dataset.items,
  ))));
}

export class Tree {
  #open = new Set(["/"]); #more = new Map(); #root = grow([]); #view = null; #link;

  constructor(link) { this.#link = link; }

  draw(root, view) {
    if (view.folder !== this.#view?.folder) this.#reveal(view.folder);
    this.#root = root;
    this.#view = view;
    this.#redraw();
  }

  #redraw() {
    const { dataset, folder, trash } = this.#view;
    const focused = document.activeElement?.dataset?.path;
    const everything = el("li", {}, row(this.#link({ dataset }), !trash && folder === "/",
      "grid", "Everything", this.#root.items));
    const bin = el("li", { class: "bin" }, row(this.#link({ dataset, trash: true }), trash, "trash", "Trash", null));
    $("folders").replaceChildren(everything, ...this.#level(this.#root), bin);
    $("folders-nav").hidden = false;
    if (focused) $("folders").querySelector(`[data-path="${CSS.escape(focused)}"]`)?.focus();
  }

  #level(node) {
    const children = [...node.children.values()].sort((a, b) => compareText(a.name, b.name));
    const shown = this.#more.get(node.path) ?? AT_ONCE;
    const rows = children.slice(0, shown).map((one) => this.#branch(one));
    if (children.length > shown) {
      rows.push(el("li", {}, el("button", {
        type: "button", class: "plain more",
        onclick: () => { this.#more.set(node.path, shown + 10 * AT_ONCE); this.#redraw(); },
      }, `${number(children.length - shown)} more`)));
    }
    return rows;
  }

  #branch(node) {
    const { dataset, folder, trash } = this.#view;
    const open = this.#open.has(node.path);
    const here = !trash && folder === node.path;
    const link = row(this.#link({ dataset, folder: node.path }), here, "folder", visible(node.name), node.items);
    const line = el("div", { class: "line" }, this.#turner(node, open), link);
    return el("li", {}, line, ...(open ? [el("ul", {}, ...this.#level(node))] : []));
  }

  #turner(node, open) {
    if (!node.children.size) return el("span", { class: "turner" });
    return el("button", {
      type: "button", class: "turner", "aria-expanded": String(open), "data-path": node.path,
      "aria-label": `${open ? "Close" : "Open"} ${visible(node.name)}`,
      onclick: () => {
        if (!this.#open.delete(node.path)) this.#open.add(node.path);
        this.#redraw();
      },
    }, icon("right"));
  }

  // Open all folders on the way to one.
  #reveal(folder) {
    for (let at = folder.lastIndexOf("/"); at > 0; at = folder.lastIndexOf("/", at - 1)) {
      this.#open.add(folder.slice(0, at));
    }
  }
}
