"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const settings = JSON.parse(byId("settings").textContent);
  const numeric = new Set(settings.numeric);
  const byContext = new Set(settings.by_context.map((metric) => metric.key));
  const models = JSON.parse(byId("data").textContent);
  for (const model of models) {
    const numbers = model.values.split(" ");
    model.values = {};
    settings.lasting.forEach((key, place) => {
      const [rounded, exact, order] = settings.known[numbers[place]];
      model.values[key] = { rounded, exact, order };
    });
    for (const pieces of Object.values(model.lines)) pieces.forEach((piece, number) => (pieces[number] = piece.map(BigInt)));
  }

  // ---- Units, written as on the command line, in integer arithmetic.

  const grouped = (value) => value.toString().replace(/\B(?=(\d{3})+$)/g, ",");
  const hundredths = (value, unit) => (200n * value + unit) / (2n * unit);

  // The value is in shares of 1 / parts: a token has a share of a row of several.
  function scaled(value, base, names, wholeBelow, parts = 1n) {
    if (value === 0n) return "0";
    if (value < wholeBelow * parts && value % parts === 0n) return grouped(value / parts) + names[0];
    let unit = parts;
    let name = names[0];
    for (const larger of names.slice(1)) {
      if (hundredths(value, unit) < base * 100n) break;
      unit *= base;
      name = larger;
    }
    const all = hundredths(value, unit);
    return `${grouped(all / 100n)}.${String(all % 100n).padStart(2, "0")}${name}`;
  }

  const BYTES = [" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"];
  const FLOPS = [" FLOPs", " kFLOPs", " MFLOPs", " GFLOPs", " TFLOPs", " PFLOPs", " EFLOPs"];
  const bytes = (value, parts) => scaled(value, 1024n, BYTES, 1024n, parts);
  const flops = (value) => scaled(value, 1000n, FLOPS, 1000n);

  // value / parts to its last digit, as a fraction if it has none.
  function decimal(value, parts) {
    let [part, whole] = [value, parts];
    for (let divisor = 2n; divisor <= parts; divisor += 1n) {
      while (part % divisor === 0n && whole % divisor === 0n) [part, whole] = [part / divisor, whole / divisor];
    }
    let places = 0;
    while (places < 64 && (part * 10n ** BigInt(places)) % whole !== 0n) places += 1;
    if (places === 64) return `${grouped(part)}/${grouped(whole)}`;
    const digits = ((part * 10n ** BigInt(places)) / whole) % 10n ** BigInt(places);
    return `${grouped(part / whole)}.${String(digits).padStart(places, "0")}`;
  }
  function tokens(value) {
    if (value % 1048576n === 0n) return `${grouped(value / 1048576n)}M`;
    if (value % 1024n === 0n) return `${grouped(value / 1024n)}k`;
    return grouped(value);
  }
  const tenths = (part, whole) => {
    const all = (20n * part + whole) / (2n * whole);
    return `${grouped(all / 10n)}.${all % 10n}`;
  };
  const times = (part, whole) => `${tenths(part, whole)}x`;
  function share(part, whole) {
    if (part === 0n) return "0%";
    if (part === whole) return "100%";
    const written = tenths(100n * part, whole);
    if (written === "0.0") return "<0.1%";
    return written === "100.0" && part < whole ? ">99.9%" : `${written}%`;
  }

  // What writes a value: rounded, and to the last digit. Ratios are written alike in both.
  const exactly = { rounded: null, exact: grouped };
  const WRITERS = {
    grouped: { ...exactly, rounded: grouped },
    tokens: { ...exactly, rounded: tokens },
    count: { ...exactly, rounded: (value) => scaled(value, 1000n, ["", "K", "M", "B", "T"], 1000000n) },
    bytes: { ...exactly, rounded: bytes },
    flops: { ...exactly, rounded: flops },
    mark: { rounded: (value) => (value ? "!" : ""), exact: (value) => (value ? "yes" : "no") },
    times,
    share,
  };

  // ---- Metrics at a context: each is a line of pieces, [start, value at the start, slope, and for each of its steps the
  // stride and the rise at each multiple of it].

  function at(pieces, context) {
    let [low, high] = [0, pieces.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (pieces[middle][0] <= context) low = middle;
      else high = middle;
    }
    const [start, first, slope, ...steps] = pieces[low];
    let value = first + slope * (context - start);
    for (let step = 0; step < steps.length; step += 2) {
      value += steps[step + 1] * (context / steps[step] - start / steps[step]);
    }
    return value;
  }

  function atContext(model, context) {
    const found = {};
    for (const { key, unit, ratio_of: of } of settings.by_context) {
      if (of === null) {
        const parts = BigInt(model.parts[key] ?? 1);
        const value = at(model.lines[key], context);
        const exact = value % parts === 0n ? WRITERS[unit].exact(value / parts) : decimal(value, parts);
        found[key] = { rounded: WRITERS[unit].rounded(value, parts), exact, order: (value / parts).toString() };
      } else {
        const [part, whole] = of.map((one) => (one in model.lines ? at(model.lines[one], context) : BigInt(model.values[one].order)));
        const written = whole === 0n ? "-" : WRITERS[unit](part, whole);
        const order = whole === 0n ? null : ((part * 10n ** 12n) / whole).toString();
        found[key] = { rounded: written, exact: written, order };
      }
    }
    return found;
  }

  // ---- What fits on devices: as deployment/fit.py and deployment/bounds.py, at any context. Tables of page/fits.py.

  const ints = (text) => text.split(" ").map(BigInt);
  const split = (text, between) => (text ? text.split(between) : []);
  const upwards = (part, whole) => (part + whole - 1n) / whole;
  const least = (a, b) => (a < b ? a : b);
  const largest = (a, b) => (a > b ? a : b);
  const shapes = split(settings.fit.shapes, ";").map((text, number) => {
    const [tp, pp, dp, ep, cp, whole] = ints(text);
    const groups = dp * (whole ? tp : 1n);
    return { tp, pp, dp, ep, cp, whole: whole === 1n, groups, devices: tp * pp * dp * cp, words: settings.fit.words[number] };
  });
  const chips = settings.fit.chips.map((chip) => ({ ...chip, bandwidth: BigInt(chip.bandwidth), room: BigInt(chip.room) }));
  const MOST = BigInt(settings.fit.most);
  const SHARES = 1n << 256n; // of a probability

  function fitTables(model) {
    if (model.fit.error !== undefined || model.fit.read) return model.fit;
    const of = Object.fromEntries(Object.entries(model.fit).map(([name, number]) => [name, settings.known[number]]));
    const views = split(of.views, ";").map((some) => some.split(",").map(ints));
    const holds = split(of.holds, ";").map((stages) => stages.split(",").map((ranks) => ranks.split("|").map(ints)));
    const reads = split(of.reads, ";").map((row) => row.split("|").map(ints));
    const sends = split(of.sends, ";").map(ints);
    const layouts = split(of.layouts, ";").map((row) => {
      const [shape, held, read, sent] = row.split(" ").map(Number);
      return { shape: shapes[shape], held: holds[held], read: reads[read], sent: sends[sent], key: `${held} ` + shapes[shape].cp };
    });
    model.fit = { read: true, views, layouts, flops: ints(of.flops), peaks: ints(of.peaks) };
    return model.fit;
  }

  // Bytes of pairs (view, bytes of a row), of rows that some devices divide.
  function rowBytes(pairs, from, counts, cp) {
    let total = 0n;
    for (let at = from; at < pairs.length; at += 2) total += upwards(counts[pairs[at]], cp) * pairs[at + 1];
    return total;
  }

  // The device of each stage that holds most: bytes of weights, and of one sequence.
  const devices = (layout, counts) =>
    layout.held.map((ranks) =>
      ranks
        .map((rank) => [rank[0], rank[1] + rowBytes(rank, 2, counts, layout.shape.cp)])
        .reduce((a, b) => (b[0] + b[1] > a[0] + a[1] ? b : a)),
    );

  function mostSequences(stages, groups, room) {
    let each = MOST;
    for (const [weights, sequence] of stages) {
      if (weights > room) return 0n;
      if (sequence) each = least(each, (room - weights) / sequence);
    }
    return least(each * groups, MOST);
  }

  // (above / below) ** exponent in shares, rounded down.
  function power(above, below, exponent) {
    let [square, result] = [(above * SHARES) / below, SHARES];
    for (; exponent; exponent >>= 1n) {
      if (exponent & 1n) result = (result * square) / SHARES;
      square = (square * square) / SHARES;
    }
    return result;
  }

  // The least time of a step, as a fraction of a second, and what devices send in it.
  function decodeStep({ shape, read, sent }, batch, attention, counts, fit, chip, peak) {
    const sequences = upwards(batch, shape.dp);
    const all = upwards(sequences, least(shape.pp, sequences));
    const attended = shape.whole ? upwards(all, shape.tp) : all;
    const inner = shape.tp * shape.cp;
    const routed = least(all * largest(1n, shape.ep / inner), batch);
    const [[ofAttention, others, rows, tables, state, ...seen], ...stacks] = read;
    let experts = 0n;
    for (const [number, chosen, size] of stacks) experts += (SHARES - power(number - chosen, number, routed)) * size;
    const cache = (rowBytes(seen, 0, counts, 1n) * attended) / shape.cp;
    const n_bytes = ofAttention + others + experts / SHARES + least(rows * all, tables) + cache + state * attended;
    const [expertFlops, otherFlops] = fit.flops;
    const [sharers, sharing] = [shape.cp * (shape.whole ? 1n : shape.tp), largest(shape.ep, inner)];
    const flops = attention * attended * inner * sharing + otherFlops * all * sharers * sharing + expertFlops * routed * sharers * inner;
    const memory = [n_bytes, chip.bandwidth];
    const compute = [flops, sharers * inner * sharing * peak];
    const binds = peak && compute[0] * memory[1] > memory[0] * compute[1];
    const [seen_, attended_, routed_, parts] = sent;
    return { seconds: binds ? compute : memory, link: [seen_ * all + attended_ * attended + routed_ * routed, parts] };
  }

  const order = (a, b) => (a[0] * b[1] < b[0] * a[1] ? -1 : a[0] * b[1] > b[0] * a[1] ? 1 : 0); // of two fractions

  // A model on so many devices of a chip: what `llmarch fit` says, or why there is no answer.
  function fitOn(model, chip, number, context) {
    const fit = fitTables(model);
    if (fit.error !== undefined) return { error: fit.error };
    const counts = fit.views.map((some) =>
      some.map(([span, stride]) => (span && context > span ? span : context) / stride).reduce(least),
    );
    const kept = new Map();
    let best = [];
    let most = 0n;
    let nearest = null;
    for (const layout of fit.layouts) {
      if (layout.shape.devices !== number) continue;
      if (!kept.has(layout.key)) kept.set(layout.key, devices(layout, counts));
      const stages = kept.get(layout.key);
      const fits = mostSequences(stages, layout.shape.groups, chip.room);
      if (fits > most) [most, best] = [fits, []];
      if (fits && fits === most) best.push({ layout, stages });
      if (most) continue;
      const missing = stages.map(([weights, sequence]) => weights + sequence).reduce(largest) - chip.room;
      if (nearest === null || missing < nearest.missing) nearest = { layout, stages, missing };
    }
    const held = (stages, each) =>
      stages.reduce((a, b) => (b[0] + b[1] * each > a[0] + a[1] * each ? b : a))[0];
    if (!most) {
      if (nearest === null) return { error: "no layout divides it" };
      return { weights: held(nearest.stages, 1n), sequences: 0n, missing: nearest.missing, words: nearest.layout.shape.words };
    }
    const attention = at(model.lines.flops_per_token, context) - fit.flops[0] - fit.flops[1];
    const peak = fit.peaks[chips.indexOf(chip)];
    let found = null;
    for (const one of best) {
      const step = decodeStep(one.layout, most, attention, counts, fit, chip, peak);
      const sooner = found === null ? -1 : order(step.seconds, found.step.seconds) || order(step.link, found.step.link);
      if (sooner < 0) found = { ...one, step };
    }
    const { shape } = found.layout;
    const [seconds, parts] = found.step.seconds;
    return { weights: held(found.stages, upwards(most, shape.groups)), sequences: most, rate: [most * parts, seconds], missing: 0n, words: shape.words };
  }

  // 76.8; from 1,000 on whole numbers.
  function rate([part, whole]) {
    if (part >= 1000n * whole) return grouped((2n * part + whole) / (2n * whole));
    return tenths(part, whole);
  }

  // ---- State and rendering.

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

  function compare(a, b) {
    const [x, y] = [a, b].map((row) => models[row.dataset.number].values[sorted.key].order);
    if (x === null || y === null) return (x === null) - (y === null); // unknown values last in both orders
    let order;
    if (numeric.has(sorted.key) && /^-?\d+$/.test(x) && /^-?\d+$/.test(y)) {
      const difference = BigInt(x) - BigInt(y);
      order = difference < 0n ? -1 : difference > 0n ? 1 : 0;
    } else {
      order = x < y ? -1 : x > y ? 1 : 0;
    }
    return sorted.down ? -order : order;
  }

  function sort() {
    if (sorted.key === null) return;
    rows.sort(compare);
    byId("table").tBodies[0].append(...rows);
    for (const heading of byId("table").tHead.rows[0].cells) {
      if (heading.dataset.key === sorted.key) heading.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    }
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
    const { key, down } = fitsSorted;
    const value = (row) => models[row.dataset.number].found[key]?.order ?? null;
    const ordered = [...fitsRows];
    if (key !== null) {
      ordered.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === null || y === null) return (x === null) - (y === null);
        return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
      });
    }
    byId("fits-table").tBodies[0].append(...ordered);
    for (const heading of byId("fits-table").tHead.rows[0].cells) {
      if (heading.dataset.key === key) heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    }
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

  function fillPair() {
    const pair = [models[byId("first").value], models[byId("second").value]];
    byId("first-name").textContent = pair[0].id;
    byId("second-name").textContent = pair[1].id;
    byId("pair-caption").textContent = pair[0] === pair[1] ? `All metrics of ${pair[0].id}.` : `All metrics of ${pair[0].id} and ${pair[1].id}; ≠ marks differences.`;
    const onlyDifferences = byId("only-differences").checked;
    const lines = [];
    let differences = 0;
    let group = null;
    for (const metric of settings.metrics) {
      const values = pair.map((model) => model.values[metric.key]);
      if (values.every((value) => value.rounded === "" || value.rounded === "-")) continue;
      const differs = values[0].exact !== values[1].exact;
      differences += differs;
      if (onlyDifferences && !differs) continue;
      const line = document.createElement("tr");
      line.dataset.key = metric.key;
      line.className = `${differs ? "differs" : ""} ${metric.group === group ? "" : "group"}`;
      group = metric.group;
      const title = document.createElement("th");
      title.scope = "row";
      const what = document.createElement("button");
      what.type = "button";
      what.className = "what";
      what.textContent = "?";
      what.setAttribute("popovertarget", `what-${metric.key}`);
      what.setAttribute("aria-label", `Definition of “${metric.title}”`);
      title.append(`${metric.title} `, what);
      const mark = cell(differs ? "≠" : "");
      if (differs) mark.setAttribute("aria-label", "differs");
      const [one, other] = values.map((value) => (metric.key === "source" ? sourceCell(value.exact) : cell(written(value))));
      line.append(title, one, mark, other);
      lines.push(line);
    }
    byId("pair-table").tBodies[0].replaceChildren(...lines);
    byId("pair-table").classList.toggle("alone", pair[0] === pair[1]);
    byId("pair-said").textContent = `${differences} differ`;
    pickCurves();
  }

  function pickCurves() {
    for (const drawn of document.querySelectorAll("figure .picked")) {
      drawn.classList.remove("picked", "first", "second");
      drawn.removeAttribute("transform");
    }
    for (const side of ["second", "first"]) {
      const number = byId(side).value;
      const plotted = number < settings.plotted ? "" : " (not plotted)";
      if (byId(`${side}-key`)) byId(`${side}-key`).textContent = `${models[number].id}${plotted}`;
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
    for (const text of stage.querySelectorAll("[data-metric]")) {
      const model = models[text.closest("svg").dataset.number];
      text.textContent = model.values[text.dataset.metric].rounded;
    }
  }

  // Layers as high as in the drawing where they are lowest; side by side, titles at one height.
  function align(drawings) {
    const beside = getComputedStyle(stage).flexDirection === "row";
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
  matchMedia("(max-width: 60rem)").addEventListener("change", draw);

  // A text differs if the other drawing has no equal text on the same topic. Details of a box are compared with a box of
  // the same title. As in drawings/picture.py.
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

  // ---- The context: a slider for round lengths, a field for any length.

  const steps = [];
  for (let power = 10n; power <= 24n; power += 1n) steps.push(1n << power, 3n << (power - 1n));
  steps.pop();
  const slider = byId("context-slider");
  slider.max = steps.length - 1;

  function read(text) {
    const match = /^([0-9]{1,15}|[0-9]{1,3}(?:_[0-9]{3}){1,5})([kKmM]?)$/.exec(text.trim());
    if (!match) return null;
    const size = { "": 1n, k: 1024n, m: 1048576n }[match[2].toLowerCase()];
    const value = BigInt(match[1].replaceAll("_", "")) * size;
    return value >= 1n && value <= BigInt(settings.longest) ? value : null;
  }

  function setContext(value) {
    context = value;
    const near = steps.findIndex((step) => step >= value);
    slider.value = near < 0 ? steps.length - 1 : near;
    slider.setAttribute("aria-valuetext", `${tokens(value)} tokens`);
    byId("context").value = tokens(value).replaceAll(",", "");
    byId("context").removeAttribute("aria-invalid");
    byId("context-said").textContent = `${grouped(value)} tokens of context`;
    calculate();
    fillTable();
    sort();
    fillFits();
    fillPair();
    fillDrawings();
  }

  slider.addEventListener("input", () => setContext(steps[slider.value]));
  byId("context").addEventListener("change", () => {
    const value = read(byId("context").value);
    if (value !== null) return setContext(value);
    byId("context").setAttribute("aria-invalid", "true");
    byId("context-said").textContent = "Enter a number of tokens: 131072, 131_072, 128k or 1M.";
  });
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
    // Numbers sort largest first, names and dates from the start.
    const first = numeric.has(key);
    sorted = { key, down: sorted.key === key ? !sorted.down : first };
    sort();
  });
  byId("fits-table").tHead.addEventListener("click", (event) => {
    const key = event.target.closest(".sort")?.parentElement.dataset.key;
    if (!key) return;
    const first = key !== "model" && key !== "layout";
    fitsSorted = { key, down: fitsSorted.key === key ? !fitsSorted.down : first };
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
    setContext(read(kept.get("ctx") ?? "") ?? initialContext);
    filter();
    draw();
    if (section) byId(section)?.scrollIntoView();
  }

  for (const kind of ["change", "input", "click"]) document.addEventListener(kind, remember);
  addEventListener("hashchange", () => {
    recall();
    remember();
  });

  const bar = document.querySelector(".bar");
  new ResizeObserver(() => document.documentElement.style.setProperty("--bar", `${bar.offsetHeight}px`)).observe(bar);

  for (const model of models) {
    const words = ["model", "name", "organization", "released", "license", "layout", "attention", "heads", "positions", "ffn"];
    model.text = words.map((key) => model.values[key].exact).join(" ").toLowerCase();
  }
  setContext(context);
  draw();
  recall();
})();
