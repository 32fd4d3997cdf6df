// ---- The timeline: groups that can be hidden, and one model pointed at in all charts.

const charts = [...document.querySelectorAll(".chart-scroll")];
const marksOf = (chart) =>
  [...chart.querySelectorAll("[data-model]")].map((link) => {
    const title = link.querySelector("title");
    title.remove(); // the box says it at once
    const place = /translate\((\S+) (\S+)\)/.exec(link.getAttribute("transform")).slice(1).map(Number);
    return { name: title.textContent, said: title.textContent, model: link.dataset.model, link, shapes: [link], points: [place] };
  });
const marks = charts.map((chart) => marksOf(chart).sort((a, b) => b.points[0][0] - a.points[0][0])); // the newest first

for (const key of document.querySelectorAll(".group-key")) {
  key.addEventListener("click", () => {
    const shown = key.getAttribute("aria-pressed") === "false";
    key.setAttribute("aria-pressed", String(shown));
    for (const { link } of marks.flat()) if (link.dataset.group === key.dataset.group) link.classList.toggle("away", !shown);
  });
}

// The same model in all charts, with its values.
function point(model) {
  const found = marks.flat().filter((mark) => mark.model === model);
  for (const { link } of marks.flat()) link.classList.toggle("pointed", link.dataset.model === model);
  document.getElementById("pointed").textContent = found.map((mark) => mark.said).join("; ");
}

for (const [number, chart] of charts.entries()) {
  pointable(chart, marks[number], {
    label: `Models in the chart ${document.getElementById(chart.getAttribute("aria-labelledby")).textContent}, the newest first`,
    keys: "charts-keys",
    said: (mark) => mark.said,
    choose: ({ link }) => (location.href = link.href.baseVal),
    shown: (mark) => point(mark?.model),
  });
}

// Where a chart is wider than the window, the newest models come first.
for (const region of charts) region.scrollLeft = region.scrollWidth;
