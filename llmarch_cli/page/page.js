// ---- State and rendering.

// What many models have in common stands once in the settings, and each model has its numbers.
function unpacked(model) {
  const { known, lasting } = settings;
  const numbers = model.values.split(" ");
  const values = lasting.map((key, place) => {
    const [rounded, exact, order] = known[numbers[place]];
    return [key, { rounded, exact, order }];
  });
  const tables = Object.entries(model.fit).map(([name, text]) => [name, name === "error" ? text : known[text]]);
  return { ...model, values: Object.fromEntries(values), fit: Object.fromEntries(tables) };
}

const models = JSON.parse(byId("data").textContent).map(unpacked).map(inIntegers);
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
  const link = document.createElement("a");
  link.href = "#pair";
  link.textContent = model.id;
  name.append(link);
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
  pickCurves();
}

function pickCurves() {
  for (const drawn of document.querySelectorAll("figure .picked")) {
    drawn.classList.remove("picked", "first", "second");
    drawn.removeAttribute("transform");
  }
  for (const side of ["second", "first"]) {
    const number = byId(side).value;
    const key = byId(`${side}-key`);
    const words = `${models[number].id}${number < settings.plotted ? "" : " (not plotted)"}`;
    if (key) key.textContent = side === "first" ? words : number === byId("first").value ? "" : `, ${words}`;
    for (const name of [`curve-${number}-within`, `curve-${number}-beyond`, `label-${number}`, `point-${number}`]) {
      for (const drawn of document.querySelectorAll(`figure [id$="-${name}"]`)) {
        drawn.classList.remove("first", "second");
        drawn.classList.add("picked", side);
        if (drawn.closest(".many")) drawn.parentNode.append(drawn); // on top of the others
      }
    }
  }
  // Two names beside each other that would overlap give way.
  for (const figure of document.querySelectorAll("figure.many")) {
    const names = [...figure.querySelectorAll('.picked[id*="-label-"]')];
    if (names.length < 2) continue;
    const [upper, lower] = names.map((name) => ({ name, y: name.querySelector("text").getBBox().y })).sort((a, b) => a.y - b.y);
    const missing = 12 - (lower.y - upper.y);
    if (missing <= 0) continue;
    upper.name.setAttribute("transform", `translate(0 ${-missing / 2})`);
    lower.name.setAttribute("transform", `translate(0 ${missing / 2})`);
  }
}

// ---- Names and values of curves and points.

// Groups of a plot are named `...-curve-NUMBER-within`, `...-curve-NUMBER-beyond` and `...-point-NUMBER`.
function marksOf(figure) {
  const found = new Map();
  for (const group of figure.querySelectorAll('[id*="-curve-"], [id*="-point-"]')) {
    const [, number] = /-(?:curve|point)-(\d+)(?:-within|-beyond)?$/.exec(group.id);
    if (!found.has(number)) found.set(number, { number, shapes: [] });
    found.get(number).shapes.push(group);
  }
  for (const mark of found.values()) {
    const titles = mark.shapes.map((shape) => shape.querySelector("title"));
    mark.name = titles[0].textContent;
    for (const title of titles) title.remove(); // the box says more, and at once
    const drawn = mark.shapes.map((shape) => shape.querySelector("path, use"));
    const ofPath = (path) => path.getAttribute("d").match(/-?[\d.]+ -?[\d.]+/g).map((point) => point.split(" ").map(Number));
    const ofUse = (use) => ["x", "y"].map((name) => Number(use.getAttribute(name)));
    const read = () => (drawn[0].localName === "use" ? [ofUse(drawn[0])] : drawn.flatMap(ofPath).sort(([a], [b]) => a - b));
    let points = null;
    Object.defineProperty(mark, "points", { get: () => (points ??= read()) }); // many numbers, of which few are needed
    mark.end = drawn[0].localName === "use" ? ofUse(drawn[0])[1] : ofPath({ getAttribute: () => drawn.at(-1).getAttribute("d").slice(-60) }).at(-1)[1];
  }
  return [...found.values()].sort((a, b) => a.end - b.end);
}

for (const figure of document.querySelectorAll("figure[data-metrics]")) {
  const shown = figure.dataset.metrics.split(" ").map((key) => settings.metrics.find((metric) => metric.key === key));
  const said = ({ number, name }) => {
    const { values } = models[number];
    const beyond = shown.some(({ key }) => byContext.has(key)) && values.beyond_context_window.order === "1";
    const figures = shown.map(({ key, title }) => (shown.length > 1 ? `${values[key].rounded} ${title}` : values[key].rounded));
    const at = byContext.has(shown[0].key) ? ` at ${tokens(context)}` : "";
    return `${name}: ${figures.join(", ")}${at}${beyond ? ", beyond its context window" : ""}`;
  };
  pointable(figure.parentNode, marksOf(figure), {
    label: `Models in the plot ${figure.dataset.title}`,
    keys: "plots-keys",
    said,
    choose: ({ number }) => show({ first: number }),
  });
}

// ---- Architectures: the page holds each shape once, and each drawing as a list of shapes. It shows copies.

const stage = byId("drawn");
const originals = new Map();
for (const svg of stage ? [...stage.children, ...byId("undrawn").content.querySelectorAll(".architecture")] : []) originals.set(svg.dataset.number, svg);
const elements = stage ? [...byId("undrawn").content.querySelector(".shapes").children] : [];

// A drawing lists its shapes as `part 4-9 12;part 3`: groups with or without the name of a part, and numbers.
function whole(number) {
  const drawing = originals.get(number).cloneNode(true);
  for (const group of split(drawing.dataset.shapes, ";")) {
    const [part, ...runs] = group.split(" ");
    const parent = part ? document.createElementNS(drawing.namespaceURI, "g") : drawing;
    if (part) {
      parent.dataset.part = part;
      drawing.append(parent);
    }
    for (const run of runs) {
      const [first, last = first] = run.split("-").map(Number);
      for (let shape = first; shape <= last; shape += 1) parent.append(elements[shape].cloneNode(true));
    }
  }
  return drawing;
}

function draw() {
  if (!stage) return;
  const numbers = new Set([byId("first").value, byId("second").value]);
  stage.replaceChildren(...[...numbers].map(whole));
  align([...stage.children]);
  highlight([...stage.children]);
  fillDrawings();
}

function fillDrawings() {
  if (!stage) return;
  for (const svg of stage.children) fillDrawing(svg, models[svg.dataset.number]);
}

matchMedia("(max-width: 60rem)").addEventListener("change", draw);

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
for (const table of ["table", "fits-table"]) {
  byId(table).tBodies[0].addEventListener("click", (event) => {
    const row = event.target.closest("th a")?.closest("tr");
    if (row) show({ first: row.dataset.number });
  });
}
byId("theme").addEventListener("change", () => {
  document.documentElement.dataset.theme = byId("theme").value;
});

function show(pair) {
  for (const [side, number] of Object.entries(pair)) byId(side).value = number;
  fillPair();
  draw();
}

// ---- The address keeps what is shown: #section&key=value&..., without what is as it was at first.

const KEPT = { filter, organization: filter, kind: filter, "fits-number": fillFits, "fits-chip": fillFits };
if (stage) KEPT["drawn-size"] = sizeDrawings;
const initial = Object.fromEntries([...Object.keys(KEPT), "first", "second"].map((id) => [id, byId(id).value]));
const initialContext = context;
let section = "";

const sortOf = ({ key, down }) => (key === null ? "" : `${down ? "-" : ""}${key}`);
const asSort = (text) => ({ key: text.replace(/^-/, ""), down: text.startsWith("-") });
const has = (table, key) => [...byId(table).tHead.rows[0].cells].some((heading) => heading.dataset.key === key);

function address() {
  const kept = new URLSearchParams();
  const keep = (key, value, first) => value !== first && kept.set(key, value);
  keep("ctx", tokens(context).replaceAll(",", ""), tokens(initialContext).replaceAll(",", ""));
  keep("exact", String(exact), "false");
  keep("sort", sortOf(sorted), "");
  keep("fits-sort", sortOf(fitsSorted), "");
  for (const id of Object.keys(KEPT)) keep(id, byId(id).value, initial[id]);
  for (const id of ["first", "second"]) keep(id, models[byId(id).value].id, models[initial[id]].id);
  keep("differences", String(byId("only-differences").checked), "false");
  return [section, kept.toString()].filter(Boolean).join("&");
}

let late = 0;
function remember() {
  clearTimeout(late);
  late = setTimeout(() => {
    const wanted = address();
    if (wanted !== location.hash.slice(1)) history.replaceState(null, "", wanted ? `#${wanted}` : location.href.split("#")[0]);
  }, 200);
}

// Words of an address that are not known change nothing.
function recall() {
  const [first, ...others] = location.hash.slice(1).split("&");
  const isState = first.includes("=");
  section = isState ? "" : first;
  const kept = new URLSearchParams((isState ? [first, ...others] : others).join("&"));
  if (![...kept].length) return;
  for (const id of Object.keys(KEPT)) {
    const value = kept.get(id) ?? initial[id];
    const options = byId(id).options;
    if (!options || [...options].some((option) => option.value === value)) byId(id).value = value;
  }
  for (const id of ["first", "second"]) {
    const number = models.findIndex((model) => model.id === kept.get(id));
    byId(id).value = number < 0 ? initial[id] : number;
  }
  byId("only-differences").checked = kept.get("differences") === "true";
  byId("exact").checked = exact = kept.get("exact") === "true";
  const [main, fits] = ["sort", "fits-sort"].map((key) => asSort(kept.get(key) ?? ""));
  if (has("table", main.key)) sorted = main;
  if (has("fits-table", fits.key)) fitsSorted = fits;
  setContext(readTokens(kept.get("ctx") ?? "") ?? initialContext);
  filter();
  if (stage) sizeDrawings();
  draw();
  if (section) byId(section)?.scrollIntoView();
}

for (const kind of ["change", "input", "click"]) document.addEventListener(kind, remember);
addEventListener("hashchange", () => {
  recall();
  remember();
});

for (const model of models) {
  const words = ["model", "name", "organization", "released", "license", "layout", "attention", "heads", "positions", "ffn"];
  model.text = words.map((key) => model.values[key].exact).join(" ").toLowerCase();
}
setContext(context);
draw();
recall();
