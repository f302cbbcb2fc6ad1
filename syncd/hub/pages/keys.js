// Pointer and keys in the gallery: open, select, move about.

import { $ } from "./dom.js";

export function steer({ grid, selection, deeds, everything, open, trashed }) {
  const item = () => grid.list?.at(grid.active);

  $("gallery").addEventListener("click", (event) => {
    const index = grid.indexAt(event.target);
    const hit = grid.list?.at(index);
    if (!hit) return;
    grid.activate(index);
    if (event.shiftKey && selection.size) selection.extend(grid.list, hit);
    else if (selects(event) || selection.size) selection.toggle(hit);
    else open(hit);
  });
  $("gallery").addEventListener("mousedown", (event) => {
    if (event.shiftKey) event.preventDefault(); // selects items, not text
  });

  const removal = () => (selection.size ? selection.items : [item()].filter(Boolean));
  const acts = {
    Enter: () => item() && open(item()),
    " ": () => item() && selection.toggle(item()),
    Escape: () => selection.clear(),
    Delete: () => (trashed() ? null : deeds.trash(removal())),
    a: (event) => (event.ctrlKey || event.metaKey) && everything(),
  };

  $("gallery").addEventListener("keydown", (event) => {
    if (!grid.list) return;
    const to = target(grid, event.key);
    const before = item();
    if (to !== null) {
      grid.activate(to);
      if (event.shiftKey && before && item()) {
        if (!selection.size) selection.toggle(before);
        selection.extend(grid.list, item());
      }
    } else if (acts[event.key]) {
      if (event.key === "a" && !event.ctrlKey && !event.metaKey) return;
      acts[event.key](event);
    } else {
      return;
    }
    event.preventDefault();
  });

  document.addEventListener("keydown", (event) => {
    const free = !event.target.closest("input, dialog") && !event.ctrlKey && !event.metaKey;
    if (event.key === "/" && free) {
      event.preventDefault();
      $("filter").focus();
    }
    if (event.key === "Escape" && event.target === $("filter")) $("gallery").focus();
  });
}

const selects = (event) => event.ctrlKey || event.metaKey || event.target.closest(".tick");

function target(grid, key) {
  const { active, columns, rows, list } = grid;
  return {
    ArrowLeft: active - 1,
    ArrowRight: active + 1,
    ArrowUp: active - columns,
    ArrowDown: active + columns,
    PageUp: active - columns * rows,
    PageDown: active + columns * rows,
    Home: 0,
    End: list.length - 1,
  }[key] ?? null;
}
