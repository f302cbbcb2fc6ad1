// One cell of the gallery: what it shows of an item, or of one that is still on its way.

import { $ } from "./dom.js";
import * as thumbs from "./thumbs.js";
import { bytes, extension, visible } from "./words.js";

const PHOTO = /^(image\/(jpeg|heic|heif|avif)|video\/)/; // may fill the frame, losing an edge

export class Tile {
  #item = null; #size = 0;

  constructor(id) {
    this.root = $("tile").content.firstElementChild.cloneNode(true);
    this.root.id = id;
    this.img = this.root.querySelector("img");
    this.kind = this.root.querySelector(".kind");
    this.play = this.root.querySelector(".play");
    this.name = this.root.querySelector(".name");
    this.index = -1;
  }

  show(item, size) {
    const same = item && this.#item?.sha256 === item.sha256 && this.#size === size;
    this.root.hidden = false;
    this.root.classList.toggle("coming", !item);
    if (!same) thumbs.drop(this.img);
    if (item && item !== this.#item) this.#label(item);
    if (!item) this.name.textContent = this.kind.textContent = "";
    this.#item = item;
    this.#size = size;
    if (item && !same) thumbs.show(this.img, item, size);
  }

  at(x, y, width) {
    this.root.style.width = `${width}px`;
    this.root.style.transform = `translate(${x}px, ${y}px)`;
  }

  mark(index, count, { selected, active }) {
    this.index = index;
    this.root.setAttribute("aria-posinset", index + 1);
    this.root.setAttribute("aria-setsize", count);
    this.root.setAttribute("aria-selected", selected);
    this.root.classList.toggle("active", active);
  }

  // Out of view until it is needed again.
  rest() {
    thumbs.drop(this.img);
    this.#item = null;
    this.index = -1;
    this.root.hidden = true;
  }

  #label(item) {
    const name = visible(item.name);
    this.name.textContent = this.name.title = name;
    this.kind.textContent = extension(item.name);
    this.root.classList.toggle("photo", PHOTO.test(item.content_type));
    this.play.hidden = !item.content_type.startsWith("video/");
    this.root.setAttribute("aria-label", `${name}, ${bytes(item.size)}`);
  }
}
