// ---- Drawings side by side. A text differs if the other drawing has no equal text on the same topic. Details of a box are
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
