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
  const of = model.fit;
  if (of.error !== undefined || of.read) return of;
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
