/* Draws a role's charts with uPlot, and the same figures as tables below them. Lines differ by dashes and by colour. */
/* global uPlot */
"use strict";

(() => {
  const EVERY_MS = { "1h": 10000, "24h": 60000, "30d": 600000 };
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [4, 4], [1, 2]];
  const HEIGHT = () => (window.innerWidth < 768 ? 140 : 190);

  const section = document.getElementById("avo-charts");
  if (!section || typeof uPlot === "undefined") return;
  const note = document.getElementById("avo-charts-note");
  const figures = [...section.querySelectorAll(".avo-chart")];
  const plots = new Map();
  let range = "1h";
  let data = null;
  let etag = null;
  let timer = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const number = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en", { maximumFractionDigits: 2 }));
  const moment = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");

  const mark = (seconds) => (range === "30d" ? moment(seconds).slice(5, 10) : moment(seconds).slice(11, 16));

  function options(chart, width) {
    const axis = { stroke: colour("--body-fg"), grid: { stroke: colour("--hairline-color"), width: 1 }, ticks: { stroke: colour("--hairline-color"), width: 1 } };
    return {
      width,
      height: HEIGHT(),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      scales: { y: { range: (plot, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 0) * 1.1)] } },
      axes: [{ ...axis, values: (plot, ticks) => ticks.map(mark) }, { ...axis, size: 56, values: (plot, ticks) => ticks.map(number) }],
      cursor: { points: { size: 7 } },
      series: [
        { label: "UTC", value: (plot, at) => (at === null ? "–" : moment(at)) },
        ...chart.lines.map((line, at) => ({
          label: line.label,
          stroke: colour(`--avo-line-${(at % 6) + 1}`),
          dash: DASHES[at % DASHES.length],
          width: 2,
          spanGaps: false,
          value: (plot, value) => number(value),
        })),
      ],
    };
  }

  function draw(figure, chart) {
    const place = figure.querySelector(".avo-plot");
    const shape = JSON.stringify([range, chart.lines.map((line) => line.label), place.clientWidth, colour("--body-fg")]);
    const rows = [data.times, ...chart.lines.map((line) => line.values)];
    const kept = plots.get(figure);
    if (kept && kept.shape === shape) {
      kept.plot.setData(rows);
      return;
    }
    if (kept) kept.plot.destroy();
    plots.set(figure, { shape, plot: new uPlot(options(chart, place.clientWidth), rows, place) });
  }

  function cell(row, tag, words, scope) {
    const one = document.createElement(tag);
    one.textContent = words;
    if (scope) one.scope = scope;
    row.append(one);
  }

  function table(figure, chart) {
    const details = figure.querySelector("details");
    if (!details.open) return;
    const made = document.createElement("table");
    made.createCaption().textContent = `${chart.title} (${chart.unit}), newest first`;
    const head = made.createTHead().insertRow();
    ["UTC", ...chart.lines.map((line) => line.label)].forEach((words) => cell(head, "th", words, "col"));
    const body = made.createTBody();
    for (let at = data.times.length - 1; at >= 0; at -= 1) {
      if (chart.lines.every((line) => line.values[at] === null)) continue;
      const row = body.insertRow();
      cell(row, "th", moment(data.times[at]), "row");
      chart.lines.forEach((line) => cell(row, "td", number(line.values[at])));
    }
    if (!body.rows.length) cell(body.insertRow(), "td", "No samples in this range.");
    details.querySelector(".avo-scroll").replaceChildren(made);
  }

  function show() {
    if (!data) return;
    const hasAny = data.charts.some((chart) => chart.lines.some((line) => line.values.some((value) => value !== null)));
    note.textContent = hasAny ? "" : "No samples in this range. Consumers, workers, the refresher and sample_history --watch record them.";
    figures.forEach((figure, at) => {
      draw(figure, data.charts[at]);
      table(figure, data.charts[at]);
    });
  }

  async function refresh() {
    const requested = range;
    try {
      const answer = await fetch(`${section.dataset.url}?range=${requested}`, { headers: etag ? { "If-None-Match": etag } : {}, cache: "no-store", signal: AbortSignal.timeout(20000) });
      if (requested !== range || answer.status === 304) return;
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      data = await answer.json();
      etag = answer.headers.get("ETag");
      show();
    } catch (failure) {
      note.textContent = "The charts cannot be loaded.";
    }
  }

  function schedule() {
    clearInterval(timer);
    timer = document.hidden ? null : setInterval(refresh, EVERY_MS[range]);
    if (timer) refresh();
  }

  section.querySelectorAll("[data-range]").forEach((button) => {
    button.addEventListener("click", () => {
      range = button.dataset.range;
      etag = null;
      section.querySelectorAll("[data-range]").forEach((one) => one.setAttribute("aria-pressed", String(one === button)));
      schedule();
    });
  });
  figures.forEach((figure, at) => figure.querySelector("details").addEventListener("toggle", () => { if (data) table(figure, data.charts[at]); }));
  document.addEventListener("visibilitychange", schedule);
  new ResizeObserver(show).observe(section);
  new MutationObserver(show).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  schedule();
})();
