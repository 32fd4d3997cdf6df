// ---- Two models, named by the address: their data is loaded when they are chosen.

const SVG = "http://www.w3.org/2000/svg";
const DEFAULT = BigInt(settings.context);
const sides = { a: byId("first"), b: byId("second") };
let context = DEFAULT;
let exact = false;
let pair = null;
const written = (value) => (exact ? value.exact : value.rounded);

const fileOf = (slug) => {
  if (!Object.hasOwn(settings.models, slug)) throw new TypeError("no such model");
  return `data/${slug}.js`;
};
// The only address that this page may make a script of.
const policy = globalThis.trustedTypes ? trustedTypes.createPolicy("data", { createScriptURL: fileOf }) : { createScriptURL: fileOf };
const loading = new Map();

function load(slug) {
  if (!loading.has(slug)) {
    loading.set(
      slug,
      new Promise((done, failed) => {
        const script = document.createElement("script");
        script.src = policy.createScriptURL(slug);
        script.addEventListener("load", () => done(inIntegers(globalThis.llmarchModels.get(slug))));
        script.addEventListener("error", () => failed(new Error(`data/${slug}.js cannot be read`)));
        document.head.append(script);
      }),
    );
  }
  return loading.get(slug);
}

// An element from its data: tag, attributes, text, and the elements inside.
function built([tag, attributes, text, ...inside]) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  made.append(...inside.map(built));
  return made;
}

function fill() {
  if (!pair) return;
  showContext(context);
  for (const model of pair) Object.assign(model.values, atContext(model, context));
  fillPairTable(pair, pairLines(pair, byId("only-differences").checked, written));
  [...new Set(pair)]
    .filter((model) => model.drawing)
    .forEach((model, number) => fillDrawing(byId("drawn").children[number], model));
}

function draw() {
  if (!pair) return;
  const drawn = [...new Set(pair)].filter((model) => model.drawing).map((model) => built(model.drawing));
  byId("drawn").replaceChildren(...drawn);
  align(drawn);
  highlight(drawn);
}

function keep() {
  setAddress({ a: sides.a.value, b: sides.b.value, ctx: context === DEFAULT ? "" : tokens(context).replaceAll(",", "") });
}

async function show() {
  const slugs = [sides.a.value, sides.b.value];
  for (const [side, slug] of [["first", slugs[0]], ["second", slugs[1]]]) {
    byId(`${side}-page`).href = `models/${slug}.html`;
    byId(`${side}-page`).textContent = settings.models[slug];
  }
  document.title = `${settings.models[slugs[0]]} and ${settings.models[slugs[1]]} · LLM architectures`;
  try {
    const loaded = await Promise.all(slugs.map(load));
    if (slugs[0] !== sides.a.value || slugs[1] !== sides.b.value) return; // others were chosen meanwhile
    pair = loaded;
  } catch (error) {
    byId("pair-said").textContent = error.message;
    return;
  }
  draw();
  fill();
}

function follow() {
  const said = address();
  const known = [...sides.a.options].map((option) => option.value);
  const unknown = [];
  for (const [number, side] of ["a", "b"].entries()) {
    const asked = said.get(side);
    if (asked !== null && !Object.hasOwn(settings.models, asked)) unknown.push(asked);
    sides[side].value = Object.hasOwn(settings.models, asked ?? "") ? asked : known[Math.min(number, known.length - 1)];
  }
  if (said.get("b") === null && known.length > 1) sides.b.value = known.find((slug) => slug !== sides.a.value);
  context = readTokens(said.get("ctx") ?? "") ?? DEFAULT;
  return show().then(() => {
    if (unknown.length) byId("pair-said").textContent = `There is no model ${unknown.join(" and no model ")} here.`;
  });
}

for (const select of Object.values(sides)) {
  select.addEventListener("change", () => {
    keep();
    show();
  });
}
byId("swap").addEventListener("click", () => {
  [sides.a.value, sides.b.value] = [sides.b.value, sides.a.value];
  keep();
  show();
});
onContext((value) => {
  context = value;
  fill();
  keep();
});
byId("exact").addEventListener("change", () => {
  exact = byId("exact").checked;
  fill();
});
byId("only-differences").addEventListener("change", fill);
addEventListener("hashchange", follow);
matchMedia("(max-width: 60rem)").addEventListener("change", () => {
  draw();
  fill();
});
follow();
