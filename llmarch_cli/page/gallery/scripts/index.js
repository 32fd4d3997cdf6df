// ---- The index: filters, order and context, all of them in the address.

const models = JSON.parse(byId("data").textContent).map(inIntegers);
const table = byId("models");
const rows = [...table.tBodies[0].rows];
const keys = [...table.tHead.rows[0].cells].map((heading) => heading.dataset.key);
const CHOICES = ["organization", "year", "mechanism", "kind"];
const RANGES = ["params", "active_params", "cache_bytes"];
const DEFAULT = BigInt(settings.context);
let context = DEFAULT;
let exact = false;
const NEWEST = { key: "released", down: true };
let sorted = NEWEST;
let chosen = [];

for (const [number, row] of rows.entries()) {
  const model = models[number];
  model.text = `${model.id} ${row.textContent} ${model.words} ${model.is_moe ? "moe" : "dense"}`.toLowerCase();
  model.year = (model.values.released ?? "").slice(0, 4);
  for (const [key, order] of Object.entries(model.values)) model.values[key] = { order };
  model.cells = new Map([...row.cells].map((cell, at) => [keys[at], cell]).slice(1, -1));
}

// 7B, 1.5T, 500M of parameters; 64 MiB, 2GiB, 8g of bytes. Null if it is no amount.
function amount(text, isBytes) {
  const match = /^([0-9]{1,15})(?:\.([0-9]{1,6}))?\s*([kmgtb]?)(?:i?b)?$/i.exec(text.trim().replaceAll(",", ""));
  if (!match) return null;
  const powers = isBytes ? { "": 0n, b: 0n, k: 1n, m: 2n, g: 3n, t: 4n } : { "": 0n, k: 1n, m: 2n, b: 3n, g: 3n, t: 4n };
  const unit = (isBytes ? 1024n : 1000n) ** powers[match[3].toLowerCase()];
  const decimals = match[2] ?? "";
  return (BigInt(match[1] + decimals) * unit) / 10n ** BigInt(decimals.length);
}

function limits() {
  return RANGES.flatMap((key) =>
    ["least", "most"].map((end) => {
      const field = byId(`${key}-${end}`);
      const value = field.value.trim() ? amount(field.value, key === "cache_bytes") : undefined;
      if (value === null) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
      return { key, end, value };
    }),
  ).filter(({ value }) => value !== undefined && value !== null);
}

function filter() {
  const words = byId("filter").value.toLowerCase().split(/[\s,]+/).filter(Boolean);
  const { organization, year, mechanism, kind } = Object.fromEntries(CHOICES.map((id) => [id, byId(id).value]));
  const ends = limits();
  let shown = 0;
  for (const row of rows) {
    const model = models[row.dataset.number];
    const fits =
      words.every((word) => model.text.includes(word)) &&
      (!organization || model.organization === organization) &&
      (!year || model.year === year) &&
      (!mechanism || model.tags.includes(mechanism)) &&
      (!kind || (kind === "moe") === model.is_moe) &&
      ends.every(({ key, end, value }) => {
        const own = BigInt(model.values[key].order);
        return end === "least" ? own >= value : own <= value;
      });
    row.hidden = !fits;
    shown += fits;
  }
  byId("filter-said").textContent = `${shown} of ${models.length} models`;
}

function fill() {
  for (const model of models) {
    const found = atContext(model, context);
    Object.assign(model.values, found);
    const beyond = found.beyond_context_window.order === "1";
    for (const key of byContext) {
      const cell = model.cells.get(key);
      if (!cell) continue;
      cell.textContent = exact ? found[key].exact : found[key].rounded;
      cell.classList.toggle("beyond", beyond);
    }
  }
}

function sort() {
  const value = (row) => models[row.dataset.number].values[sorted.key].order;
  rows.sort((a, b) => inOrder(value(a), value(b), sorted) || a.dataset.number - b.dataset.number);
  table.tBodies[0].append(...rows);
  markSorted(table, sorted);
  byId("order").value = `${sorted.down ? "-" : ""}${sorted.key}`;
}

function show() {
  showContext(context);
  fill();
  sort();
  filter();
}

function keep() {
  const entries = { q: byId("filter").value.trim() };
  for (const id of CHOICES) entries[id] = byId(id).value;
  for (const key of RANGES) for (const end of ["least", "most"]) entries[`${key}-${end}`] = byId(`${key}-${end}`).value.trim();
  if (sorted.key !== NEWEST.key || !sorted.down) entries.sort = `${sorted.down ? "-" : ""}${sorted.key}`;
  if (context !== DEFAULT) entries.ctx = tokens(context).replaceAll(",", "");
  setAddress(entries);
}

function follow() {
  const said = address();
  byId("filter").value = said.get("q") ?? "";
  for (const id of CHOICES) {
    byId(id).value = said.get(id) ?? "";
    if (byId(id).selectedIndex < 0) byId(id).value = "";
  }
  for (const key of RANGES) for (const end of ["least", "most"]) byId(`${key}-${end}`).value = said.get(`${key}-${end}`) ?? "";
  const order = said.get("sort") ?? "";
  const key = order.replace(/^-/, "");
  sorted = keys.includes(key) ? { key, down: order.startsWith("-") } : NEWEST;
  context = readTokens(said.get("ctx") ?? "") ?? DEFAULT;
  show();
}

// ---- Two models to compare.

function choose(box, number) {
  chosen = box.checked ? [...chosen, { box, number }] : chosen.filter((one) => one.box !== box);
  while (chosen.length > 2) chosen.shift().box.checked = false;
  const link = byId("chosen");
  link.hidden = chosen.length < 2;
  if (link.hidden) return;
  const [a, b] = chosen.map((one) => models[one.number]);
  link.href = `compare.html#${new URLSearchParams({ a: a.slug, b: b.slug })}`;
  link.textContent = `Compare ${a.id} and ${b.id}`;
}

onContext((value) => {
  context = value;
  show();
  keep();
});
byId("exact").addEventListener("change", () => {
  exact = byId("exact").checked;
  for (const model of models) {
    for (const [key, cell] of model.cells) {
      if (byContext.has(key) || !/^\d+$/.test(model.values[key].order ?? "") || !numeric.has(key)) continue;
      cell.dataset.rounded ??= cell.textContent;
      const isShare = cell.dataset.rounded.endsWith("%");
      cell.textContent = exact && !isShare ? grouped(BigInt(model.values[key].order)) : cell.dataset.rounded;
    }
  }
  fill();
});
table.tHead.addEventListener("click", (event) => {
  const button = event.target.closest(".sort");
  if (!button) return;
  const key = button.parentElement.dataset.key;
  sorted = turned(sorted, key, numeric.has(key));
  sort();
  keep();
});
byId("order").addEventListener("change", () => {
  const order = byId("order").value;
  sorted = { key: order.replace("-", ""), down: order.startsWith("-") };
  sort();
  keep();
});
table.tBodies[0].addEventListener("change", (event) => choose(event.target, event.target.closest("tr").dataset.number));
for (const id of ["filter", ...RANGES.flatMap((key) => [`${key}-least`, `${key}-most`])]) {
  byId(id).addEventListener("input", () => {
    filter();
    keep();
  });
}
for (const id of CHOICES) {
  byId(id).addEventListener("change", () => {
    filter();
    keep();
  });
}
byId("clear").addEventListener("click", () => {
  setAddress(context === DEFAULT ? {} : { ctx: tokens(context).replaceAll(",", "") });
  follow();
});
addEventListener("hashchange", follow);

// On a phone, all but the search stands behind a button.
function unfold(open) {
  byId("more").setAttribute("aria-expanded", String(open));
  byId("choices").classList.toggle("folded", !open);
}
byId("more").addEventListener("click", () => unfold(byId("more").getAttribute("aria-expanded") === "false"));
unfold([...address().keys()].some((key) => key !== "q" && key !== "sort" && key !== "ctx"));
for (const box of table.tBodies[0].querySelectorAll("input:checked")) box.checked = false; // a reloaded page keeps them
follow();
