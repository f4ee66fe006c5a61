/* Refreshes the panels of a live page every few seconds while the page is visible. Replaces only changed panels, and none
   in which the operator types or selects text. */
"use strict";

(() => {
  const EVERY_MS = 5000;
  const STALE_AFTER_MS = 15000;
  const ANNOUNCE_AFTER_MS = 30000;

  const live = document.getElementById("avo-live");
  const status = document.getElementById("avo-status");
  const text = document.getElementById("avo-status-text");
  const pause = document.getElementById("avo-pause");
  const announcer = document.getElementById("avo-said");
  if (!live || !status || !live.dataset.url) return;

  const shown = new Map();
  let etag = null;
  let freshAt = Date.now();
  let problem = "";
  let isPaused = false;
  let isFetching = false;
  let timer = null;
  let announcedAt = 0;

  const clock = (moment) => new Date(moment).toISOString().slice(11, 19) + " UTC";

  function announce(words) {
    announcer.textContent = words;
    announcedAt = Date.now();
  }

  function show(state, words) {
    const changed = status.dataset.state !== state;
    status.dataset.state = state;
    text.textContent = words;
    if (changed) announce(words);
  }

  function showStatus() {
    const ageMs = Date.now() - freshAt;
    if (isPaused) show("paused", `Paused. As of ${clock(freshAt)}`);
    else if (ageMs > STALE_AFTER_MS) show("old", `Stale: ${Math.round(ageMs / 1000)} s old. ${problem || "Waiting for the server."}`);
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
    if (changed.length && Date.now() - announcedAt > ANNOUNCE_AFTER_MS) announce(`Updated: ${changed.join(", ")}`);
    return panels.every((panel) => shown.get(panel.id) === panel.html);
  }

  async function fetchPanels() {
    const answer = await fetch(live.dataset.url, {
      headers: etag ? { "If-None-Match": etag } : {},
      cache: "no-store",
      credentials: "same-origin",
      signal: AbortSignal.timeout(10000),
    });
    if (answer.status === 304) return "";
    if (answer.redirected || answer.status === 403) return "You are signed out or no longer have permission. Reload the page.";
    if (!(answer.headers.get("Content-Type") || "").startsWith("application/json")) return "The server returned an error.";
    const body = await answer.json();
    if (!answer.ok) return body.failure || "The server returned an error.";
    etag = put(body.panels) ? answer.headers.get("ETag") : null;
    return "";
  }

  async function refresh() {
    if (isFetching) return;
    isFetching = true;
    try {
      problem = await fetchPanels();
      if (!problem) freshAt = Date.now();
    } catch (failure) {
      problem = "The server is not responding.";
    } finally {
      isFetching = false;
    }
    showStatus();
  }

  function schedule() {
    clearInterval(timer);
    timer = isPaused || document.hidden ? null : setInterval(refresh, EVERY_MS);
    if (timer) refresh();
    showStatus();
  }

  document.addEventListener("visibilitychange", schedule);
  window.addEventListener("online", schedule);
  setInterval(showStatus, 1000);
  if (pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      isPaused = !isPaused;
      pause.setAttribute("aria-pressed", String(isPaused));
      pause.textContent = isPaused ? "Resume" : "Pause";
      schedule();
    });
  }
  schedule();
})();
