// One item, large: its picture or video, what is known of it, the way to its neighbours.

import * as api from "./api.js";
import { $, el } from "./dom.js";
import * as thumbs from "./thumbs.js";
import { bytes, extension, number, visible, when } from "./words.js";

const PICTURES = new Set(["image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp", "image/avif"]);
const VIDEOS = new Set(["video/mp4", "video/webm"]);

export class Viewer {
  #list = null; #index = -1; #item = null; #shown = ""; #moved;

  constructor({ moved, trash, restore }) {
    const viewer = $("viewer");
    this.#moved = moved;
    viewer.addEventListener("keydown", (event) => this.#key(event));
    viewer.addEventListener("close", () => { this.#shown = ""; this.#empty(); });
    $("v-prev").addEventListener("click", () => this.#step(-1));
    $("v-next").addEventListener("click", () => this.#step(1));
    $("v-close").addEventListener("click", () => viewer.close());
    $("v-trash").addEventListener("click", () => trash([this.#item]));
    $("v-restore").addEventListener("click", () => restore([this.#item]));
    $("v-stage").addEventListener("click", ({ target }) => {
      if (target === $("v-stage")) viewer.close();
    });
  }

  // Show an item of a list, or (index -1) one that stands alone.
  open(list, item) {
    const index = list.indexOf(item);
    this.#list = list;
    this.#index = list.at(index)?.id === item.id ? index : -1;
    this.#draw(item);
    if (!$("viewer").open) $("viewer").showModal();
  }

  // The list changed: the item may have moved, changed or gone.
  refresh(changes) {
    if (!$("viewer").open) return;
    const told = changes.find(({ id }) => id === this.#item.id);
    if (told && told.state !== this.#item.state) this.#leave();
    else this.#draw(told ?? this.#item);
    if (this.#index >= 0 && $("viewer").open) this.#index = this.#list.indexOf(this.#item);
  }

  // Gone from this list: its place is taken by the next one.
  #leave() {
    const next = this.#index < 0 ? null : this.#list.at(Math.min(this.#index, this.#list.length - 1));
    if (next) this.#draw(next);
    else $("viewer").close();
  }

  #step(by) {
    if (this.#index < 0) return;
    const index = this.#index + by;
    const next = this.#list.at(index);
    this.#list.need(index + 100);
    if (!next) return;
    this.#index = index;
    this.#draw(next);
    this.#moved(index);
  }

  #key(event) {
    if (event.target.closest("video") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowLeft") this.#step(-1);
    else if (event.key === "ArrowRight") this.#step(1);
    else if (event.key === "Delete" && this.#item.state === "present") $("v-trash").click();
    else return;
    event.preventDefault();
  }

  #draw(item) {
    this.#item = item;
    const shown = `${item.id} ${item.sha256}`;
    if (shown !== this.#shown) this.#stage(item);
    this.#shown = shown;
    $("v-name").textContent = visible(item.name);
    $("v-place").textContent = this.#index < 0 ? "" : `${number(this.#index + 1)} of ${number(this.#list.length)}`;
    $("v-facts").replaceChildren(...facts(item).flatMap(([name, value, kind]) =>
      [el("dt", {}, name), el("dd", { class: kind ?? "", dir: "auto" }, value)]));
    $("v-download").href = api.content(item);
    $("v-download").download = item.name;
    $("v-trash").hidden = item.state !== "present";
    $("v-restore").hidden = item.state !== "trashed";
    $("v-prev").disabled = this.#index <= 0;
    $("v-next").disabled = this.#index < 0 || this.#index + 1 >= this.#list.length;
  }

  #stage(item) {
    this.#empty();
    const url = `${api.content(item)}?v=${item.version}`;
    if (VIDEOS.has(item.content_type)) {
      const video = el("video", { controls: true, preload: "metadata", src: url });
      video.addEventListener("error", () => this.#still(item), { once: true });
      $("v-stage").append(video);
    } else if (PICTURES.has(item.content_type)) {
      this.#picture(item, url);
    } else {
      this.#still(item);
    }
  }

  // The small picture at once, the whole one over it when it is there.
  #picture(item, url) {
    const early = el("img", { class: "early", alt: "", hidden: true });
    const whole = el("img", { class: "whole-picture", alt: visible(item.name), src: url, hidden: true });
    $("v-stage").append(early, whole);
    thumbs.show(early, item, 640);
    whole.decode().then(() => { whole.hidden = false; early.remove(); }, () => {
      if (whole.isConnected) this.#still(item);
    });
  }

  // What a browser cannot show itself: the hub's picture of it, or a sheet that names its kind.
  #still(item) {
    this.#empty();
    const img = el("img", { class: "whole-picture", alt: visible(item.name), hidden: true });
    $("v-stage").append(el("p", { class: "sheet" }, extension(item.name)), img);
    thumbs.show(img, item, 1280);
  }

  #empty() {
    for (const img of $("v-stage").querySelectorAll("img")) thumbs.drop(img);
    for (const video of $("v-stage").querySelectorAll("video")) video.removeAttribute("src");
    $("v-stage").replaceChildren();
  }
}

const facts = (item) => [
  ["Folder", visible(item.folder)],
  ["Size", `${bytes(item.size)} (${number(item.size)} bytes)`],
  ["Type", item.content_type],
  ["Modified", when(item.modified_ns)],
  ["Stored", when(item.stored_ns)],
  ["Version", number(item.version)],
  ["SHA-256", item.sha256, "digest"],
];
