// Short talk with the person: a question that wants yes or no, a note that passes.

import { $ } from "./dom.js";

// Whether the person said yes.
export function confirmed(title, text, yes) {
  $("c-title").textContent = title;
  $("c-text").textContent = text;
  $("c-yes").textContent = yes;
  const dialog = $("confirm");
  return new Promise((done) => {
    const end = (answer) => { $("c-yes").onclick = $("c-no").onclick = null; dialog.close(); done(answer); };
    $("c-yes").onclick = () => end(true);
    $("c-no").onclick = () => end(false);
    dialog.oncancel = () => end(false);
    dialog.showModal();
    $("c-no").focus();
  });
}

let timer = 0;

export function note(text, action = null) {
  const button = $("toast-action");
  $("toast-text").textContent = text;
  $("toast").hidden = false;
  // What lies in the top layer would cover it.
  (document.querySelector("dialog[open]") ?? document.body).append($("toast"));
  button.hidden = !action;
  button.textContent = action?.label ?? "";
  button.onclick = () => { $("toast").hidden = true; action.run(); };
  clearTimeout(timer);
  timer = setTimeout(() => { $("toast").hidden = true; }, 8000);
}
