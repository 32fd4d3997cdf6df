// ---- The timeline: groups that can be hidden, and one model pointed at in all charts.

const marks = [...document.querySelectorAll(".chart [data-model]")];

for (const key of document.querySelectorAll(".group-key")) {
  key.addEventListener("click", () => {
    const shown = key.getAttribute("aria-pressed") === "false";
    key.setAttribute("aria-pressed", String(shown));
    for (const mark of marks) if (mark.dataset.group === key.dataset.group) mark.classList.toggle("away", !shown);
  });
}

// Where a chart is wider than the window, the newest models come first.
for (const region of document.querySelectorAll(".chart-scroll")) region.scrollLeft = region.scrollWidth;

function point(model) {
  for (const mark of marks) mark.classList.toggle("pointed", mark.dataset.model === model);
  const said = marks.filter((mark) => mark.dataset.model === model).map((mark) => mark.querySelector("title").textContent);
  document.getElementById("pointed").textContent = said.join("; ");
}
for (const mark of marks) mark.addEventListener("pointerenter", () => point(mark.dataset.model));
