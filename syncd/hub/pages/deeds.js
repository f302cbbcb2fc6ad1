// What the page can change: to the trash, back again, gone for good. Each says what became of it.

import * as api from "./api.js";
import { confirmed, note } from "./ask.js";
import { $ } from "./dom.js";
import { bytes, counted } from "./words.js";

export class Deeds {
  #selection; #dataset; #told;

  // dataset() is the one acted on; told(items) hears at once what the feed will tell later.
  constructor(selection, dataset, told) {
    this.#selection = selection;
    this.#dataset = dataset;
    this.#told = told;
    selection.addEventListener("change", () => this.#bar());
    $("bar-trash").addEventListener("click", () => this.trash(selection.items));
    $("bar-restore").addEventListener("click", () => this.restore(selection.items));
    $("bar-clear").addEventListener("click", () => { selection.clear(); $("gallery").focus(); });
  }

  trash(items) {
    return this.#each(items, api.trash, "moved to the trash", (done) => ({
      label: "Undo", run: () => this.restore(done),
    }));
  }

  restore(items) { return this.#each(items, api.restore, "restored"); }

  async empty(count) {
    const dataset = this.#dataset();
    const yes = await confirmed(
      "Empty the trash?",
      `${counted(count, "item")} of this dataset will be deleted for good. This cannot be undone.`,
      "Delete for good",
    );
    if (!yes) return;
    await this.#try(async () => {
      const gone = await api.emptyTrash(dataset);
      note(`${counted(gone.purged, "item")} deleted, ${bytes(gone.bytes)} came back.`);
    });
  }

  async #each(items, call, said, action = () => null) {
    if (!items.length) return;
    await this.#try(async () => {
      const results = await call(this.#dataset(), items);
      const done = items.filter((_, i) => ["stored", "same"].includes(results[i]?.status));
      const failed = results.find(({ status }) => !["stored", "same"].includes(status));
      this.#selection.clear();
      this.#told(results.map(({ item }) => item).filter(Boolean));
      const rest = items.length - done.length;
      const left = rest ? ` ${counted(rest, "item")} left alone: ${failed?.reason ?? "changed meanwhile"}.` : "";
      note(`${counted(done.length, "item")} ${said}.${left}`, done.length ? action(done) : null);
    });
  }

  async #try(call) {
    try {
      await call();
    } catch (error) {
      if (!(error instanceof api.SignedOut)) note(`That did not work: ${error.message}.`);
    }
  }

  #bar() {
    const { size, items } = this.#selection;
    $("bar").hidden = size === 0;
    $("gallery").classList.toggle("selecting", size > 0);
    if (!size) return;
    const total = items.reduce((sum, item) => sum + item.size, 0);
    const trashed = items[0].state === "trashed";
    $("bar-count").textContent = `${counted(size, "item")} selected \u00b7 ${bytes(total)}`;
    $("bar-trash").hidden = trashed;
    $("bar-restore").hidden = !trashed;
  }
}
