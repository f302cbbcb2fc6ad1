// The page: what the address behind # asks for is fetched, shown, and kept true.

import * as api from "./api.js";
import { Arrivals } from "./arrivals.js";
import { note } from "./ask.js";
import { Deeds } from "./deeds.js";
import { $, paced } from "./dom.js";
import { Feed } from "./feed.js";
import { Grid } from "./grid.js";
import { steer } from "./keys.js";
import { Listing } from "./listing.js";
import { Selection } from "./selection.js";
import { drawDatasets, find, grow, Tree } from "./tree.js";
import { Viewer } from "./viewer.js";
import { bytes, counted, number, visible } from "./words.js";

const NEWEST = 24;
const LOOK_AGAIN = 10_000; // ms: whether datasets came or went

const selection = new Selection();
const grid = new Grid($("gallery"), $("sizer"), selection);
const tree = new Tree(link);
const deeds = new Deeds(selection, () => view.dataset, changed);
const viewer = new Viewer({
  moved: (index) => grid.activate(index),
  trash: (items) => deeds.trash(items),
  restore: (items) => deeds.restore(items),
});
const arrivals = new Arrivals((item) => viewer.open(view.list, item));

let datasets = [];
let view = { dataset: null, folder: "/", trash: false, list: null, feed: null, root: grow([]) };

// -- the address

function link({ dataset, folder = "/", trash = false }) {
  const query = new URLSearchParams({ dataset });
  if (folder !== "/") query.set("folder", folder);
  if (trash) query.set("trash", "1");
  return `#${query}`;
}

function asked() {
  const query = new URLSearchParams(location.hash.slice(1));
  const name = query.get("dataset");
  const found = datasets.find((dataset) => dataset.name === name);
  const fallback = name === null ? datasets.toSorted((a, b) => b.items - a.items)[0] : undefined;
  return {
    dataset: found ?? fallback ?? null,
    folder: query.get("folder") || "/",
    trash: query.has("trash"),
  };
}

// -- opening a view

// Steps that were overtaken, or ended with the session, need no word.
function go() {
  return route().catch((error) => {
    if (error.name !== "AbortError" && !(error instanceof api.SignedOut)) note(`That did not work: ${error.message}.`);
  });
}

async function route() {
  const wanted = new URLSearchParams(location.hash.slice(1)).get("dataset");
  if (wanted !== null && !datasets.some(({ name }) => name === wanted)) datasets = await patient(api.datasets);
  const { dataset, folder, trash } = asked();
  drawer(false);
  const other = dataset?.id !== view.dataset?.id;
  view.list?.close();
  selection.clear();
  $("filter").value = "";
  view = { ...view, dataset, folder, trash, list: null };
  if (other) await enter();
  if (view.dataset !== dataset || view.list) return; // overtaken by another step
  if (dataset) {
    view.list = new Listing(dataset, folder, trash ? "trashed" : "present");
    view.list.addEventListener("change", summarize);
    view.list.expect(trash ? 0 : (find(view.root, folder)?.items ?? 0));
    grid.show(view.list);
  }
  draw();
}

// Another dataset: first where its feed stands, so that nothing falls between feed and listing.
async function enter() {
  const { dataset } = view;
  view.feed?.close();
  view.root = grow([]);
  if (!dataset) return;
  const feed = new Feed(dataset, { items: changed, restored: () => location.reload() });
  view.feed = feed;
  const newest = await patient(() => feed.begin(NEWEST));
  if (view.feed !== feed) return;
  arrivals.begin(newest, newest.reduce((last, item) => Math.max(last, item.stored_ns), 0));
  await count();
  feed.follow();
}

// What is asked for at the beginning is asked again until the hub answers.
async function patient(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof api.Away)) throw error;
      await api.pause(1000);
    }
  }
}

// -- keeping it true

function changed(items) {
  view.list?.apply(items);
  selection.refresh(items, view.trash ? "trashed" : "present");
  viewer.refresh(items);
  arrivals.apply(items);
  recount();
}

const recount = paced(1000, () => count().catch(() => {}));

async function count() {
  const { dataset } = view;
  const [folders, all] = await Promise.all([
    dataset ? patient(() => api.folders(dataset)) : [], patient(api.datasets),
  ]);
  if (view.dataset !== dataset) return;
  datasets = all;
  view.root = grow(folders);
  if (!view.trash) view.list?.expect(find(view.root, view.folder)?.items ?? 0);
  draw();
}

async function lookAgain() {
  const known = datasets.length;
  if (!document.hidden && api.connection.state !== "out") {
    datasets = await api.datasets().catch(() => datasets);
    if (!known && datasets.length) await go();
    else draw();
  }
  setTimeout(lookAgain, LOOK_AGAIN / (datasets.length ? 1 : 5));
}

// -- drawing

function draw() {
  const name = view.dataset?.name;
  drawDatasets(datasets, { dataset: name }, link);
  $("folders-nav").hidden = !view.dataset;
  if (view.dataset) tree.draw(view.root, { dataset: name, folder: view.folder, trash: view.trash });
  const place = view.folder === "/" ? name : view.folder.slice(view.folder.lastIndexOf("/") + 1);
  const title = view.trash ? "Trash" : visible(place ?? "syncd");
  $("title").textContent = title;
  document.title = title === "syncd" ? title : `${title} \u00b7 syncd`;
  $("empty-trash").hidden = !view.trash || !view.list?.length;
  if (!view.dataset) $("live").hidden = true;
  summarize();
}

function summarize() {
  const { list } = view;
  const node = view.trash ? null : find(view.root, view.folder);
  const loading = list?.filter && !list.complete ? `, ${number(list.loaded)} looked at so far` : "";
  if (!list) $("summary").textContent = "";
  else if (list.filter) $("summary").textContent = counted(list.length, "match", "matches") + loading;
  else $("summary").textContent = counted(list.length, "item") + (node?.bytes ? ` \u00b7 ${bytes(node.bytes)}` : "");
  $("empty-trash").hidden = !view.trash || !list?.length;
  nothing();
}

function nothing() {
  const { list, dataset, trash, folder } = view;
  const empty = !list || (list.length === 0 && list.complete);
  $("nothing").hidden = !empty;
  $("gallery").hidden = empty;
  if (!empty) return;
  const [title, text] = !dataset ? (location.hash.includes("dataset=") && datasets.length
    ? ["There is no such dataset", "Choose one on the left."]
    : ["No datasets yet", "Drop files into the watched folder; they appear here."])
    : list?.filter ? ["No name fits", "No name here contains what you typed."]
      : trash ? ["The trash is empty", "What is moved to the trash can be restored from here."]
        : folder !== "/" ? ["This folder is empty", "Files that are put into it appear here."]
          : ["Nothing here yet", "Drop files into the watched folder; they appear here."];
  $("nothing-title").textContent = title;
  $("nothing-text").textContent = text;
}

function connected() {
  const { state } = api.connection;
  $("away").hidden = state !== "away";
  $("state").textContent = state === "live" ? "Connected" : state === "away" ? "Hub is away" : "";
  $("state").dataset.state = state;
  if (state !== "out") return;
  view.feed?.close();
  view.list?.close();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  $("app").hidden = true;
  $("out").hidden = false;
  document.title = "Signed out \u00b7 syncd";
}

// -- the person

function scale(value) {
  grid.scale = value;
  localStorage.setItem("scale", value);
}

// In a narrow window the side is a drawer.
function drawer(open) {
  $("side").classList.toggle("open", open);
  $("menu").setAttribute("aria-expanded", open);
}

function listen() {
  const chosen = localStorage.getItem("scale") ?? "m";
  for (const radio of document.querySelectorAll("[name=scale]")) {
    radio.checked = radio.value === chosen;
    radio.addEventListener("change", () => scale(radio.value));
  }
  scale(chosen);
  $("filter").addEventListener("input", paced(120, () => {
    view.list?.narrow($("filter").value.trim());
    grid.rewind();
  }));
  $("menu").addEventListener("click", () => drawer(!$("side").classList.contains("open")));
  $("gallery").addEventListener("pointerdown", () => drawer(false));
  $("side").addEventListener("keydown", ({ key }) => key === "Escape" && drawer(false));
  $("bar-all").addEventListener("click", () => everything());
  $("empty-trash").addEventListener("click", () => deeds.empty(view.list.length));
  steer({ grid, selection, deeds, everything, open: (item) => viewer.open(view.list, item), trashed: () => view.trash });
  window.addEventListener("hashchange", go);
}

async function everything() {
  const { list } = view;
  await list.everything();
  if (view.list === list) selection.all(list.all());
}

async function start() {
  api.connection.addEventListener("change", connected);
  datasets = await patient(api.datasets);
  $("app").hidden = false;
  listen();
  await go();
  setTimeout(lookAgain, LOOK_AGAIN);
}

start().catch((error) => { if (!(error instanceof api.SignedOut)) throw error; });
