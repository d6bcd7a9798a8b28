"use strict";

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function themed(layout) {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = { gridcolor: color("--line"), zerolinecolor: color("--line"), linecolor: color("--line") };
  return {
    ...layout,
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: color("--text") },
    hoverlabel: { bgcolor: color("--card"), bordercolor: color("--line"), font: { color: color("--text") } },
    xaxis: { ...layout.xaxis, ...axis },
    yaxis: { ...layout.yaxis, ...axis },
  };
}

function draw() {
  for (const source of document.querySelectorAll("script[data-plot]")) {
    const { data, layout } = JSON.parse(source.textContent);
    Plotly.react(source.dataset.plot, data, themed(layout), { displayModeBar: false, responsive: true });
  }
}

function compare(first, second) {
  if (first === second) return 0;
  if (first === "") return 1;
  if (second === "") return -1;
  const numbers = [Number(first), Number(second)];
  return numbers.some(Number.isNaN) ? first.localeCompare(second) : numbers[0] - numbers[1];
}

function sortBy(heading) {
  const body = heading.closest("table").tBodies[0];
  const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const key = (row) => row.cells[heading.cellIndex].dataset.order;
  const missingLast = (a, b) => (key(a) === "" || key(b) === "" ? compare(key(a), key(b)) : direction * compare(key(a), key(b)));
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
  body.append(...[...body.rows].sort(missingLast));
}

for (const heading of document.querySelectorAll(".sortable thead th")) {
  heading.querySelector("button").addEventListener("click", () => sortBy(heading));
}
window.addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
dark.addEventListener("change", draw);
draw();
