// ---- State and rendering.

const models = JSON.parse(byId("data").textContent).map(inIntegers);
let context = BigInt(settings.context);
let exact = false;
let sorted = { key: null, down: false };
const rows = [...byId("table").tBodies[0].rows];
const written = (value) => (exact ? value.exact : value.rounded);

function calculate() {
  for (const model of models) Object.assign(model.values, atContext(model, context));
}

function fillTable() {
  for (const row of rows) {
    const model = models[row.dataset.number];
    const beyond = model.values.beyond_context_window.order === "1";
    for (const cell of row.cells) {
      const key = cell.dataset.key;
      if (!key) continue;
      cell.textContent = written(model.values[key]);
      cell.classList.toggle("beyond", beyond && byContext.has(key));
    }
  }
}

function sort() {
  if (sorted.key === null) return;
  const value = (row) => models[row.dataset.number].values[sorted.key].order;
  rows.sort((a, b) => inOrder(value(a), value(b), sorted));
  byId("table").tBodies[0].append(...rows);
  markSorted(byId("table"), sorted);
}

let fitsSorted = { key: null, down: false };
const fitsRows = models.map((model, number) => {
  const row = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = model.id;
  if (model.id.length > 32) name.className = "long";
  row.append(name);
  row.dataset.number = number;
  return row;
});
const fitsKeys = [...byId("fits-table").tHead.rows[0].cells].map((heading) => heading.dataset.key);

function fillFits() {
  const chip = chips[byId("fits-chip").value];
  const number = BigInt(byId("fits-number").value);
  const joined = chip.peers === null || number <= BigInt(chip.peers);
  const asked = `${number} x ${chip.name}`;
  let fitting = 0;
  for (const row of fitsRows) {
    const model = models[row.dataset.number];
    const found = joined ? fitOn(model, chip, number, context) : { error: "" };
    fitting += (found.sequences ?? 0n) > 0n;
    model.found = {
      model: { text: model.id, order: model.id.toLowerCase() },
      weights: found.error === undefined ? { text: exact ? grouped(found.weights) : bytes(found.weights), order: found.weights } : null,
      sequences: found.error === undefined ? { text: grouped(found.sequences), order: found.sequences } : null,
      rate: found.rate ? { text: rate(found.rate), order: (found.rate[0] * 10n ** 12n) / found.rate[1] } : null,
      missing: found.missing ? { text: exact ? grouped(found.missing) : bytes(found.missing), order: found.missing } : null,
      layout: { text: found.error ?? found.words, order: found.error ?? found.words },
    };
    const made = fitsKeys.slice(1).map((key) => {
      const one = cell(model.found[key]?.text ?? "-", key !== "layout");
      one.dataset.key = key;
      return one;
    });
    const beyond = model.values.beyond_context_window.order === "1";
    made[1].classList.toggle("beyond", beyond && Boolean(found.sequences));
    row.replaceChildren(row.cells[0], ...made);
  }
  byId("fits-caption").textContent = `On ${asked}, at ${grouped(context)} tokens of context.`;
  byId("fits-said").textContent = joined
    ? `${fitting} of ${models.length} ${models.length === 1 ? "model fits" : "models fit"}`
    : `A node has ${chip.peers} of these devices.`;
  sortFits();
}

function sortFits() {
  const value = (row) => models[row.dataset.number].found[fitsSorted.key]?.order ?? null;
  const ordered = [...fitsRows];
  if (fitsSorted.key !== null) {
    ordered.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return (x < y ? -1 : x > y ? 1 : 0) * (fitsSorted.down ? -1 : 1);
    });
  }
  byId("fits-table").tBodies[0].append(...ordered);
  markSorted(byId("fits-table"), fitsSorted);
}

function filter() {
  const words = byId("filter").value.toLowerCase().split(/[\s,]+/).filter(Boolean);
  const organization = byId("organization").value;
  const kind = byId("kind").value;
  let shown = 0;
  for (const row of rows) {
    const model = models[row.dataset.number];
    const text = `${model.text} ${model.is_moe ? "moe" : "dense"}`;
    const fits =
      words.every((word) => text.includes(word)) &&
      (!organization || model.organization === organization) &&
      (!kind || (kind === "moe") === model.is_moe);
    row.hidden = !fits;
    fitsRows[row.dataset.number].hidden = !fits;
    shown += fits;
  }
  byId("filter-said").textContent = `${shown} of ${models.length} models`;
}

function fillPair() {
  const pair = [models[byId("first").value], models[byId("second").value]];
  fillPairTable(pair, pairLines(pair, byId("only-differences").checked, written));
  for (const drawn of document.querySelectorAll("figure .picked")) drawn.classList.remove("picked");
  for (const number of [byId("first").value, byId("second").value]) {
    const named = ["curve-" + number + "-within", "curve-" + number + "-beyond", "point-" + number];
    for (const name of named) {
      for (const drawn of document.querySelectorAll(`figure [id$="-${name}"]`)) drawn.classList.add("picked");
    }
  }
}

// ---- Architectures: the page holds each drawing once and shows copies.

const stage = byId("drawn");
const originals = new Map();
for (const svg of stage ? [...stage.children, ...byId("undrawn").content.children] : []) originals.set(svg.dataset.number, svg);

function draw() {
  if (!stage) return;
  const numbers = new Set([byId("first").value, byId("second").value]);
  stage.replaceChildren(...[...numbers].map((number) => originals.get(number).cloneNode(true)));
  highlight([...stage.children]);
  fillDrawings();
}

function fillDrawings() {
  if (!stage) return;
  for (const svg of stage.children) fillDrawing(svg, models[svg.dataset.number]);
}

function setContext(value) {
  context = value;
  showContext(value);
  calculate();
  fillTable();
  sort();
  fillFits();
  fillPair();
  fillDrawings();
}

onContext(setContext);
byId("exact").addEventListener("change", () => {
  exact = byId("exact").checked;
  fillTable();
  fillFits();
  fillPair();
});
byId("table").tHead.addEventListener("click", (event) => {
  const button = event.target.closest(".sort");
  if (!button) return;
  const key = button.parentElement.dataset.key;
  sorted = turned(sorted, key, numeric.has(key));
  sort();
});
byId("fits-table").tHead.addEventListener("click", (event) => {
  const key = event.target.closest(".sort")?.parentElement.dataset.key;
  if (!key) return;
  fitsSorted = turned(fitsSorted, key, key !== "model" && key !== "layout");
  sortFits();
});
for (const id of ["fits-number", "fits-chip"]) byId(id).addEventListener("change", fillFits);
byId("filter").addEventListener("input", filter);
for (const id of ["organization", "kind"]) byId(id).addEventListener("change", filter);
for (const id of ["first", "second", "only-differences"]) byId(id).addEventListener("change", fillPair);
for (const id of ["first", "second"]) byId(id).addEventListener("change", draw);
byId("theme").addEventListener("change", () => {
  document.documentElement.dataset.theme = byId("theme").value;
});

for (const model of models) {
  const words = ["model", "name", "organization", "released", "license", "layout", "attention", "heads", "positions", "ffn"];
  model.text = words.map((key) => model.values[key].exact).join(" ").toLowerCase();
}
setContext(context);
draw();
