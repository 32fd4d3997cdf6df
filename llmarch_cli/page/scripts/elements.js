// ---- Elements. Text from a spec is always text, never markup.

const byId = (id) => document.getElementById(id);
const settings = JSON.parse(byId("settings").textContent);
const numeric = new Set(settings.numeric);
const byContext = new Set(settings.by_context.map((metric) => metric.key));

function cell(text, figure) {
  const made = document.createElement("td");
  made.textContent = text;
  if (figure) made.className = "figure";
  return made;
}

function sourceCell(url) {
  const made = document.createElement("td");
  if (!/^https?:\/\//i.test(url)) {
    made.textContent = url;
    return made;
  }
  const link = document.createElement("a");
  link.href = url;
  link.rel = "noopener noreferrer";
  link.textContent = url;
  made.append(link);
  return made;
}

// Numbers sort largest first, names and dates from the start; the same heading again turns the order.
const turned = (sorted, key, largestFirst) => ({ key, down: sorted.key === key ? !sorted.down : largestFirst });

function markSorted(table, { key, down }) {
  for (const heading of table.tHead.rows[0].cells) {
    if (key !== null && heading.dataset.key === key) heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    else heading.removeAttribute("aria-sort");
  }
}

// The order of two values of a metric: unknown ones last, in both directions.
function inOrder(x, y, { key, down }) {
  if (x === null || y === null) return (x === null) - (y === null);
  let order;
  if (numeric.has(key) && /^-?\d+$/.test(x) && /^-?\d+$/.test(y)) {
    const difference = BigInt(x) - BigInt(y);
    order = difference < 0n ? -1 : difference > 0n ? 1 : 0;
  } else {
    order = x < y ? -1 : x > y ? 1 : 0;
  }
  return down ? -order : order;
}

function inIntegers(model) {
  for (const pieces of Object.values(model.lines)) pieces.forEach((piece, number) => (pieces[number] = piece.map(BigInt)));
  return model;
}
