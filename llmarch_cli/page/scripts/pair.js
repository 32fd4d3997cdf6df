// ---- Two models side by side: every metric that one of them has, and which differ.

function pairLines(pair, onlyDifferences, written) {
  const lines = [];
  let differences = 0;
  let group = null;
  for (const metric of settings.metrics) {
    const alone = pair.map((model) => model.values[metric.key]);
    const values = metric.unit === null ? alone : beside(alone, metric.unit);
    if (values.every((value) => value.rounded === "" || value.rounded === "-")) continue;
    const differs = values[0].exact !== values[1].exact;
    differences += differs;
    if (onlyDifferences && !differs) continue;
    const line = document.createElement("tr");
    line.dataset.key = metric.key;
    line.className = `${differs ? "differs" : ""} ${metric.group === group ? "" : "group"}`;
    group = metric.group;
    const title = document.createElement("th");
    title.scope = "row";
    const what = document.createElement("button");
    what.type = "button";
    what.className = "what";
    what.textContent = "?";
    what.setAttribute("popovertarget", `what-${metric.key}`);
    what.setAttribute("aria-label", `Definition of “${metric.title}”`);
    title.append(`${metric.title} `, what);
    const mark = cell(differs ? "≠" : "");
    if (differs) mark.setAttribute("aria-label", "differs");
    const [one, other] = values.map((value) => (metric.key === "source" ? sourceCell(value.exact) : cell(written(value))));
    line.append(title, one, mark, other);
    lines.push(line);
  }
  return { lines, differences };
}

function fillPairTable(pair, { lines, differences }) {
  byId("first-name").textContent = pair[0].id;
  byId("second-name").textContent = pair[1].id;
  byId("pair-caption").textContent = pair[0] === pair[1] ? `All metrics of ${pair[0].id}.` : `All metrics of ${pair[0].id} and ${pair[1].id}; ≠ marks differences.`;
  byId("pair-table").tBodies[0].replaceChildren(...lines);
  byId("pair-table").classList.toggle("alone", pair[0] === pair[1]);
  byId("pair-said").textContent = `${differences} differ`;
}
