// ---- The curves and points of a plot: a box names the one that is pointed at, by pointer, finger or keys.
//
// For keys and screen readers a plot is a list: one stop of Tab, arrow keys or letters go from mark to mark, Enter
// chooses one, Escape hides the box. A mark is { name, shapes, points }: the points are [x, y] in the drawing, from left
// to right; `end` is where it stands in the order of the list.

const NEAR = 12; // how far from a mark one may point, in pixels
let lists = 0;

// The height of a curve at x, or null if it is not there.
function heightAt(points, x) {
  if (x < points[0][0] || x > points.at(-1)[0]) return null;
  let [low, high] = [0, points.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= x) low = middle;
    else high = middle;
  }
  const [[left, from], [right, to]] = [points[low], points[high]];
  return right === left ? from : from + ((to - from) * (x - left)) / (right - left);
}

function distance({ points }, x, y) {
  if (points.length === 1) return Math.hypot(points[0][0] - x, points[0][1] - y);
  const height = heightAt(points, x);
  return height === null ? Infinity : Math.abs(height - y);
}

function pointable(region, marks, { label, keys, said, choose, shown = () => {} }) {
  const svg = region.querySelector("svg");
  const list = document.createElement("div");
  list.className = "marks";
  list.id = `marks-${(lists += 1)}`;
  list.tabIndex = 0;
  for (const [name, value] of Object.entries({ role: "listbox", "aria-label": label, "aria-describedby": keys })) list.setAttribute(name, value);
  const options = marks.map((mark, number) => {
    const option = document.createElement("div");
    option.id = `${list.id}-${number}`;
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", "false");
    option.textContent = mark.name;
    return option;
  });
  list.append(...options);
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true"); // a screen reader reads the option
  region.removeAttribute("tabindex"); // the list is in it
  region.classList.add("pointable");
  region.prepend(list);
  region.append(tip);

  let last = 0;
  let active = null;
  const away = ({ shapes }) => shapes[0].classList.contains("away");

  function place([x, y]) {
    const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
    const around = region.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = tip;
    const clamped = (value, least, most) => Math.max(least, Math.min(value, most));
    const left = clamped(at.x - around.left - width / 2, 4, region.clientWidth - width - 4);
    const above = at.y - around.top - height - 10;
    tip.style.left = `${left + region.scrollLeft}px`;
    tip.style.top = `${above < 0 ? above + height + 24 : above}px`;
  }

  // Without a place, it is that of a point, or of a curve in the middle of what one sees of it.
  function point(number, at = null) {
    if (active !== null) {
      for (const shape of marks[active].shapes) shape.classList.remove("pointed");
      options[active].setAttribute("aria-selected", "false");
    }
    active = number;
    tip.hidden = number === null;
    list.removeAttribute("aria-activedescendant");
    if (number === null) return shown(null);
    const mark = marks[number];
    last = number;
    for (const shape of mark.shapes) shape.classList.add("pointed");
    tip.textContent = options[number].textContent = said(mark);
    options[number].setAttribute("aria-selected", "true");
    list.setAttribute("aria-activedescendant", options[number].id);
    shown(mark);
    place(at ?? middle(mark));
  }

  function middle({ points }) {
    if (points.length === 1) {
      const x = new DOMPoint(...points[0]).matrixTransform(svg.getScreenCTM()).x - region.getBoundingClientRect().left;
      if (x < 0 || x > region.clientWidth) region.scrollLeft += x - region.clientWidth / 2;
      return points[0];
    }
    const { left } = region.getBoundingClientRect();
    const inverse = svg.getScreenCTM().inverse();
    const [from, to] = [left, left + region.clientWidth].map((x) => new DOMPoint(x, 0).matrixTransform(inverse).x);
    const x = (Math.max(from, points[0][0]) + Math.min(to, points.at(-1)[0])) / 2;
    const inside = Math.max(points[0][0], Math.min(x, points.at(-1)[0]));
    return [inside, heightAt(points, inside)];
  }

  function go(number) {
    point(number);
    tip.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  // The next mark that is shown, `step` from a number on; the last one there is at an end.
  function next(from, step) {
    let found = null;
    for (let number = from; number >= 0 && number < marks.length; number += Math.sign(step)) {
      if (away(marks[number])) continue;
      found = number;
      if (Math.abs(number - from) >= Math.abs(step) - 1) break;
    }
    return found;
  }

  let typed = "";
  let forgetting = 0;
  function find(letter) {
    clearTimeout(forgetting);
    forgetting = setTimeout(() => (typed = ""), 700);
    typed += letter.toLowerCase();
    const again = [...typed].every((one) => one === typed[0]); // the same letter goes through all names with it
    const wanted = again ? typed[0] : typed;
    const start = again ? last + 1 : last;
    const order = marks.map((_, number) => (start + number) % marks.length);
    return order.find((number) => !away(marks[number]) && marks[number].name.toLowerCase().startsWith(wanted)) ?? null;
  }

  list.addEventListener("focus", () => {
    marks.forEach((mark, number) => (options[number].hidden = away(mark)));
    const number = away(marks[last]) ? next(0, 1) : last;
    if (number !== null && list.matches(":focus-visible")) go(number);
  });
  list.addEventListener("blur", () => point(null));
  list.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const from = active ?? last;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
    let number = null;
    if (event.key in steps) number = active === null ? from : next(from + Math.sign(steps[event.key]), steps[event.key]);
    else if (event.key === "Home") number = next(0, 1);
    else if (event.key === "End") number = next(marks.length - 1, -1);
    else if (event.key === "Enter" || event.key === " ") {
      if (active !== null) choose(marks[active]);
    } else if (event.key.length === 1) number = find(event.key);
    else return; // left and right scroll
    event.preventDefault();
    if (number !== null) go(number);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && active !== null) point(null);
  });

  function nearest(event) {
    const ctm = svg.getScreenCTM();
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(ctm.inverse());
    const hit = marks.findIndex(({ shapes }) => shapes.some((shape) => shape.contains(event.target)));
    if (hit >= 0) return [hit, [x, y]]; // its name is a part of it
    let [found, least] = [null, NEAR / ctm.a];
    for (const [number, mark] of marks.entries()) {
      const apart = away(mark) ? Infinity : distance(mark, x, y);
      if (apart < least) [found, least] = [number, apart];
    }
    return [found, [x, y]];
  }
  let before = null; // what was pointed at before the last touch
  for (const kind of ["pointermove", "pointerdown"]) {
    svg.addEventListener(kind, (event) => {
      if (kind === "pointerdown") before = active;
      const [number, at] = nearest(event);
      svg.classList.toggle("near", number !== null);
      if (number !== null || active !== null) point(number, at);
    });
  }
  svg.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch") point(null); // a finger that is lifted leaves the box there
  });
  svg.addEventListener("click", (event) => {
    const isFirst = event.pointerType === "touch" && before !== active; // a finger has no other way to see a name
    if (active !== null && !isFirst && !event.target.closest("a")) choose(marks[active]);
  });
}
