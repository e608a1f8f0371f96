"use strict";
const narrow = () => window.innerWidth < 600;
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// what the theme and the width decide of a chart
function styled(layout, width) {
  const axis = { gridcolor: ink("--line"), linecolor: ink("--line"), zerolinecolor: ink("--line"), automargin: true };
  const styled = { ...layout, font: { ...layout.font, color: ink("--ink"), size: narrow() ? 11 : 13 } };
  const axes = new Set(["xaxis", "yaxis", ...Object.keys(layout).filter((name) => /^[xy]axis\d+$/.test(name))]);
  for (const name of axes) styled[name] = { ...layout[name], ...axis };
  if (layout.meta && layout.meta.lane) { // a graph's lanes are not spread over a page that is wider than they need
    const [low, high] = layout.xaxis.range;
    styled.xaxis.range = [low, Math.max(high, low + width / layout.meta.lane)];
  }
  styled.hoverlabel = { ...layout.hoverlabel, bgcolor: ink("--card"), font: { color: ink("--ink") } };
  styled.margin = { ...layout.margin, l: narrow() ? 44 : layout.margin.l, r: narrow() ? 4 : layout.margin.r };
  if (narrow()) {
    styled.legend = { ...layout.legend, font: { size: 10 } };
  }
  return styled;
}

function draw(place) {
  const spec = SPECS[Number(place.dataset.chart)];
  const hide = narrow() ? (t) => (t.mode && t.mode.includes("+text") ? { ...t, mode: t.mode.replace("+text", "") } : t) : (t) => t;
  const roof = (t) => (t.mode === "lines" ? { ...t, line: { ...t.line, color: ink("--ink") } } : t);
  const bar = spec.layout.meta && spec.layout.meta.lane ? false : "hover"; // there is nothing to zoom in a graph
  const config = { responsive: true, displaylogo: false, displayModeBar: bar, showSendToCloud: false, plotlyServerURL: "" };
  Plotly.react(place, spec.data.map(hide).map(roof), styled(spec.layout, place.clientWidth), config);
}

// charts are drawn when they are first seen: a page of many results opens at once
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting && !entry.target.dataset.drawn) {
      entry.target.dataset.drawn = "yes";
      draw(entry.target);
    }
  }
}, { rootMargin: "200px" });
const charts = [...document.querySelectorAll(".chart")];
charts.forEach((chart) => seen.observe(chart));
const redraw = () => charts.filter((chart) => chart.dataset.drawn).forEach(draw);

for (const views of document.querySelectorAll(".views")) {
  views.querySelector(".choose").addEventListener("change", (event) => {
    for (const view of views.querySelectorAll(":scope > .view")) view.hidden = view.dataset.view !== event.target.value;
    views.querySelectorAll(".view:not([hidden]) .chart[data-drawn]").forEach((chart) => Plotly.Plots.resize(chart));
  });
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  redraw();
}
const dark = window.matchMedia("(prefers-color-scheme: dark)");
theme(dark.matches ? "dark" : "light");
dark.addEventListener("change", () => theme(dark.matches ? "dark" : "light"));
document.getElementById("theme").addEventListener("click", () =>
  theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
let width = narrow();
window.addEventListener("resize", () => { if (narrow() !== width) { width = narrow(); redraw(); } });

for (const table of document.querySelectorAll("table")) {
  const heads = [...table.querySelectorAll("th")];
  const sort = (column) => {
    const up = heads[column].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = (row) => row.cells[column].dataset.value;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === ""); // what is not known stands last
      const order = x !== "" && !isNaN(x) && !isNaN(y) ? Number(x) - Number(y) : x.localeCompare(y);
      return up ? order : -order;
    });
    table.tBodies[0].append(...rows);
  };
  heads.forEach((head, column) => {
    head.addEventListener("click", () => sort(column));
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(column); });
  });
}
