/* Keeps the panels of a live page fresh: asks for them every few seconds while somebody looks, swaps in only those that
   changed, and leaves alone what the operator types in, selects or points at. */
"use strict";

(() => {
  const EVERY_MS = 5000;
  const OLD_AFTER_MS = 15000;
  const SAY_AGAIN_AFTER_MS = 30000;

  const live = document.getElementById("avo-live");
  const status = document.getElementById("avo-status");
  const text = document.getElementById("avo-status-text");
  const pause = document.getElementById("avo-pause");
  const said = document.getElementById("avo-said");
  if (!live || !status || !live.dataset.url) return;

  const shown = new Map();
  let etag = null;
  let freshAt = Date.now();
  let problem = "";
  let isPaused = false;
  let isAsking = false;
  let timer = null;
  let saidAt = 0;

  const clock = (moment) => new Date(moment).toISOString().slice(11, 19) + " UTC";

  function say(words) {
    said.textContent = words;
    saidAt = Date.now();
  }

  function show(state, words) {
    const changed = status.dataset.state !== state;
    status.dataset.state = state;
    text.textContent = words;
    if (changed) say(words);
  }

  function tell() {
    const ageMs = Date.now() - freshAt;
    if (isPaused) show("paused", `Paused. As of ${clock(freshAt)}`);
    else if (ageMs > OLD_AFTER_MS) show("old", `Old: ${Math.round(ageMs / 1000)} s. ${problem || "Waiting for the server."}`);
    else if (problem) show("trouble", `${problem} As of ${clock(freshAt)}`);
    else show("live", `As of ${clock(freshAt)}, refreshed every ${EVERY_MS / 1000} s`);
  }

  const isTyping = (part) => {
    const focused = document.activeElement;
    return part.contains(focused) && /^(INPUT|TEXTAREA|SELECT)$/.test(focused.tagName) && focused.type !== "submit";
  };

  const isSelecting = (part) => {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  };

  const focusable = (part) => [...part.querySelectorAll("a[href], button, [tabindex]")];

  function swap(part, html) {
    if (isTyping(part) || isSelecting(part)) return false;
    const focusedAt = focusable(part).indexOf(document.activeElement);
    const open = [...part.querySelectorAll("details")].map((one) => one.open);
    const scrolled = [...part.querySelectorAll(".avo-scroll")].map((one) => one.scrollLeft);
    part.innerHTML = html;
    part.querySelectorAll("details").forEach((one, at) => { if (at < open.length) one.open = open[at]; });
    part.querySelectorAll(".avo-scroll").forEach((one, at) => { one.scrollLeft = scrolled[at] || 0; });
    if (focusedAt >= 0) focusable(part)[focusedAt]?.focus({ preventScroll: true });
    return true;
  }

  function put(panels) {
    const changed = [];
    for (const panel of panels) {
      let part = document.getElementById(panel.id);
      if (!part) {
        part = document.createElement("section");
        part.id = panel.id;
        part.className = "module avo-panel";
        live.append(part);
      }
      if (shown.get(panel.id) === panel.html) continue;
      const isFirst = !shown.has(panel.id);
      if (swap(part, panel.html)) {
        shown.set(panel.id, panel.html);
        if (!isFirst) changed.push(panel.title);
      }
    }
    const wanted = new Set(panels.map((panel) => panel.id));
    live.querySelectorAll(".avo-panel").forEach((part) => { if (!wanted.has(part.id)) part.remove(); });
    if (changed.length && Date.now() - saidAt > SAY_AGAIN_AFTER_MS) say(`Updated: ${changed.join(", ")}`);
    return panels.every((panel) => shown.get(panel.id) === panel.html);
  }

  async function ask() {
    const answer = await fetch(live.dataset.url, {
      headers: etag ? { "If-None-Match": etag } : {},
      cache: "no-store",
      credentials: "same-origin",
      signal: AbortSignal.timeout(10000),
    });
    if (answer.status === 304) return "";
    if (answer.redirected || answer.status === 403) return "You are signed out or may not see this any more: reload.";
    if (!(answer.headers.get("Content-Type") || "").startsWith("application/json")) return "The server answers with an error.";
    const body = await answer.json();
    if (!answer.ok) return body.failure || "The server answers with an error.";
    etag = put(body.panels) ? answer.headers.get("ETag") : null;
    return "";
  }

  async function refresh() {
    if (isAsking) return;
    isAsking = true;
    try {
      problem = await ask();
      if (!problem) freshAt = Date.now();
    } catch (failure) {
      problem = "The server does not answer.";
    } finally {
      isAsking = false;
    }
    tell();
  }

  function schedule() {
    clearInterval(timer);
    timer = isPaused || document.hidden ? null : setInterval(refresh, EVERY_MS);
    if (timer) refresh();
    tell();
  }

  document.addEventListener("visibilitychange", schedule);
  window.addEventListener("online", schedule);
  setInterval(tell, 1000);
  if (pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      isPaused = !isPaused;
      pause.setAttribute("aria-pressed", String(isPaused));
      pause.textContent = isPaused ? "Go on" : "Pause";
      schedule();
    });
  }
  schedule();
})();
