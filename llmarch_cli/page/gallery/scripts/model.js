// ---- A model's page: the figures that follow the context.

const model = inIntegers([...globalThis.llmarchModels.values()][0]);
const cells = [...document.querySelectorAll("main [data-key]")];
const drawing = document.querySelector("svg.architecture");
let context = BigInt(settings.context);
let exact = false;

function show() {
  showContext(context);
  Object.assign(model.values, atContext(model, context));
  const beyond = model.values.beyond_context_window.order === "1";
  for (const cell of cells) {
    const value = model.values[cell.dataset.key];
    const inTile = cell.classList.contains("value");
    if (!value || cell.querySelector("a")) continue;
    cell.textContent = exact && !inTile ? value.exact : value.rounded;
    cell.classList.toggle("beyond", beyond && byContext.has(cell.dataset.key));
  }
  if (drawing) fillDrawing(drawing, model);
  for (const line of document.querySelectorAll(".chart .here")) {
    const [from, to] = ["from", "to"].map((end) => Number(line.parentNode.dataset[end]));
    const share = Math.log(Number(context) / from) / Math.log(to / from);
    const { left, right } = line.dataset;
    line.classList.toggle("away", share < 0 || share > 1);
    line.setAttribute("transform", `translate(${Number(left) + (right - left) * share} 0)`);
  }
}

onContext((value) => {
  context = value;
  show();
});
byId("exact").addEventListener("change", () => {
  exact = byId("exact").checked;
  show();
});
byId("versus")?.addEventListener("change", () => {
  const { value, dataset } = byId("versus");
  byId("versus-link").href = `../compare.html#${new URLSearchParams({ a: dataset.own, ...(value && { b: value }) })}`;
});
show();
