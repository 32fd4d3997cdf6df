// ---- Drawings side by side.

// Whole drawings are small where they are wide: a reader may take them larger, and scroll.
function sizeDrawings() {
  const { value } = byId("drawn-size");
  const region = document.querySelector(".architectures");
  region.classList.toggle("sized", value !== "");
  region.style.setProperty("--size", value);
}
byId("drawn-size")?.addEventListener("change", sizeDrawings);

// Layers as high as in the drawing where they are lowest; side by side, titles at one height.
function align(drawings) {
  if (!drawings.length) return;
  const beside = getComputedStyle(drawings[0].parentNode).flexDirection === "row";
  const size = (drawing) => drawing.viewBox.baseVal;
  const layer = Math.min(...drawings.map((drawing) => drawing.dataset.layer));
  const height = Math.max(...drawings.map((drawing) => size(drawing).height));
  for (const drawing of drawings) {
    const own = Number(drawing.dataset.layer);
    const bottom = Number(drawing.dataset.bottom);
    const top = bottom - own * drawing.dataset.layers;
    const lower = (bottom - top) * (1 - layer / own);
    const raise = beside ? height - size(drawing).height : 0;
    const move = (part, transform) => {
      for (const group of drawing.querySelectorAll(`[data-part="${part}"]`)) group.setAttribute("transform", transform);
    };
    // A path is `M` and its points, each `x y`, with `L` between them.
    const redraw = (part, moved) => {
      for (const path of drawing.querySelectorAll(`[data-part="${part}"] path`)) {
        const points = path.getAttribute("d").slice(1).split("L").map((point) => point.split(" ").map(Number));
        path.setAttribute("d", `M${points.map(([x, y], at) => `${x} ${y + moved[at]}`).join("L")}`);
      }
    };
    move("strip", `translate(0 ${bottom * (1 - layer / own)}) scale(1 ${layer / own})`);
    move("strip-count", `translate(0 ${lower / 2})`);
    move("above", `translate(0 ${-raise})`);
    redraw("strip-hint", [lower, lower, 0, 0]);
    redraw("strip-out", [lower, -raise]);
    const { width } = size(drawing);
    drawing.setAttribute("viewBox", `0 ${-raise} ${width} ${size(drawing).height + raise}`);
  }
}

// A text differs if the other drawing has no equal text on the same topic. Details of a box are
// compared with a box of the same title. As in drawings/picture.py.

const said = ({ dataset, textContent }) => JSON.stringify([dataset.topic, dataset.within ?? "", dataset.whole ?? textContent]);

function differs(text, other) {
  const { topic, within } = text.dataset;
  if (other.has(said(text))) return false;
  return !within || other.has(JSON.stringify([`${topic.split(" ")[0]} title`, "", within]));
}

function highlight(drawings) {
  if (drawings.length < 2) return;
  const texts = drawings.map((drawing) => [...drawing.querySelectorAll("[data-topic]")]);
  const all = texts.map((some) => new Set(some.map(said)));
  const differing = texts.flatMap((some, number) => some.filter((text) => differs(text, all[1 - number])));
  const boxes = differing.map((text) => text.getBBox());
  differing.forEach((text, number) => {
    const { x, y, width, height } = boxes[number];
    const along = { x: x - 1.5, width: width + 3 };
    for (const of of [{ class: "mark-edge", ...along, y: y + height - 0.4, height: 1.6 }, { class: "mark", ...along, y, height, rx: 2 }]) {
      const strip = document.createElementNS(text.namespaceURI, "rect");
      for (const [name, value] of Object.entries(of)) strip.setAttribute(name, value);
      text.before(strip);
    }
    text.classList.add("marked");
  });
}

function fillDrawing(svg, model) {
  for (const text of svg.querySelectorAll("[data-metric]")) text.textContent = model.values[text.dataset.metric].rounded;
}
