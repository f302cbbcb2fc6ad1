// Making and finding elements. Text is set as text, always: there is no way to markup here.

export const $ = (id) => document.getElementById(id);

// el("p", {class: "x", hidden: true, onclick: f}, "text", child)
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") made.toggleAttribute(name, value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

// At most one call each `gap` milliseconds, the last one always.
export function paced(gap, call) {
  let timer = 0;
  return () => {
    timer ||= setTimeout(() => { timer = 0; call(); }, gap);
  };
}

// At most one call a frame.
export function framed(call) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; call(); });
  };
}
