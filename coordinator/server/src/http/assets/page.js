// Keeps the page up to date. The server sends the parts that changed. If the stream breaks, it is opened again after a
// time that doubles, up to half a minute; while the page is hidden, it stays closed.
"use strict";

const LONGEST = 30000;
const path = document.body.dataset.events;
const live = document.getElementById("live");
const says = live.querySelector(".says");
let source = null;
let timer = 0;
let failures = 0;

function say(text, lost) {
  live.hidden = false;
  live.classList.toggle("lost", lost);
  if (says.textContent !== text) says.textContent = text;
}

function show(parts) {
  for (const { id, mark, html } of parts) {
    const part = document.getElementById(id);
    // The mark of a part with parts inside says nothing of these.
    if (!part || (part.dataset.mark === mark && !part.querySelector("[data-mark]"))) continue;
    const focus = document.activeElement;
    const link = focus && part.contains(focus) ? focus.getAttribute("href") : null;
    part.innerHTML = html;
    part.dataset.mark = mark;
    // Keep the keyboard focus on the link that had it.
    if (link) part.querySelector(`a[href="${CSS.escape(link)}"]`)?.focus({ preventScroll: true });
  }
}

function open() {
  clearTimeout(timer);
  if (source || document.hidden) return;
  source = new EventSource(`${path}?have=${document.body.dataset.mark}`);
  source.onopen = () => say("live", false);
  source.onmessage = (event) => {
    failures = 0;
    say("live", false);
    const { mark, parts } = JSON.parse(event.data);
    show(parts);
    document.body.dataset.mark = mark;
    document.dispatchEvent(new Event("parts"));
  };
  source.onerror = () => {
    close();
    const wait = Math.min(LONGEST, 1000 * 2 ** failures) * (0.75 + Math.random() / 2);
    failures += 1;
    say(failures > 1 ? "not connected, trying again" : "reconnecting", true);
    timer = setTimeout(open, wait);
  };
}

function close() {
  source?.close();
  source = null;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) close();
  else open();
});
// When a page comes back from the browser's cache, its stream is closed.
addEventListener("pagehide", close);
addEventListener("pageshow", open);
open();
