// ---- Drawings side by side. A text differs if the other drawing has no equal text on the same topic.

const said = (text) => JSON.stringify([text.dataset.topic, text.dataset.whole ?? text.textContent]);

function highlight(drawings) {
  if (drawings.length < 2) return;
  const texts = drawings.map((drawing) => [...drawing.querySelectorAll("[data-topic]")]);
  const all = texts.map((some) => new Set(some.map(said)));
  const differing = texts.flatMap((some, number) => some.filter((text) => !all[1 - number].has(said(text))));
  const boxes = differing.map((text) => text.getBBox());
  differing.forEach((text, number) => {
    const strip = document.createElementNS(text.namespaceURI, "rect");
    const { x, y, width, height } = boxes[number];
    for (const [name, value] of Object.entries({ class: "mark", x: x - 1.5, y, width: width + 3, height, rx: 2 })) strip.setAttribute(name, value);
    text.before(strip);
    text.classList.add("marked");
  });
}

function fillDrawing(svg, model) {
  for (const text of svg.querySelectorAll("[data-metric]")) text.textContent = model.values[text.dataset.metric].rounded;
}
