// SPDX-License-Identifier: Apache-2.0
// Brings the parts of the page that changed on the server, every few seconds; the page is whole without it.
"use strict";
(() => {
  const EVERY_MS = 5000;
  const SILENT_MS = 20000; // a first reading is waited for 2 s by the server: this is silence
  const pause = document.getElementById("pause");
  const connection = document.getElementById("connection");
  const parts = [...document.querySelectorAll("[data-live]")];
  const shown = new Map(parts.map((part) => [part.id, part.innerHTML]));
  let paused = false;

  // What a screen reader says, once for each change: the parts are replaced far more often.
  const said = document.getElementById("said");
  const news = () => (document.querySelector(".trouble strong, .phase strong") || {}).textContent || "";
  let known = news();

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
  });

  const keyOf = (element) => element.id || element.getAttribute("href") || "";

  function put(part, fresh) {
    const focused = part.contains(document.activeElement) ? keyOf(document.activeElement) : "";
    const open = new Set([...part.querySelectorAll("details[open]")].map((one) => one.id));
    const before = part.querySelector("pre");
    const top = before && before.scrollTop;
    const atEnd = before && before.scrollTop + before.clientHeight >= before.scrollHeight - 4;
    part.replaceChildren(...[...fresh.childNodes].map((node) => document.adoptNode(node)));
    for (const one of part.querySelectorAll("details")) one.open = open.has(one.id);
    const after = part.querySelector("pre");
    if (after && before) after.scrollTop = atEnd ? after.scrollHeight : top;
    if (!focused) return;
    const same = [...part.querySelectorAll("a[href], button, summary, pre")].find((one) => keyOf(one) === focused);
    if (same) same.focus({ preventScroll: true });
  }

  async function update() {
    if (paused || document.hidden) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(SILENT_MS) });
      if (answer.status === 403) throw new Error("another run of the command");
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      connection.hidden = true;
      if (paused) return;
      document.title = fresh.title;
      for (const part of parts) {
        const other = fresh.getElementById(part.id);
        if (!other || other.innerHTML === shown.get(part.id)) continue;
        shown.set(part.id, other.innerHTML);
        put(part, other);
      }
      if (news() !== known) said.textContent = known = news();
    } catch {
      connection.hidden = false;
    }
  }

  const lines = document.getElementById("lines");
  if (lines) lines.scrollTop = lines.scrollHeight;
  const wait = () => setTimeout(() => update().finally(wait), EVERY_MS);
  setTimeout(() => update().finally(wait), parts.some((part) => part.querySelector("[data-waiting]")) ? 1000 : EVERY_MS);
})();
