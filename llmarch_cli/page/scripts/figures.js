// ---- Units, written as on the command line, in integer arithmetic.

const grouped = (value) => value.toString().replace(/\B(?=(\d{3})+$)/g, ",");
const hundredths = (value, unit) => (200n * value + unit) / (2n * unit);

// The largest multiple of a unit in which a value is at least 1, as the power of the base. The value is in shares of
// 1 / parts: a token has a share of a row of several.
function multiple(value, { base, names, wholeBelow }, parts = 1n) {
  if (value < wholeBelow * parts && value % parts === 0n) return 0;
  let power = 0;
  for (let unit = parts; power + 1 < names.length && hundredths(value, unit) >= base * 100n; unit *= base) power += 1;
  return power;
}

function scaled(value, scale, parts = 1n, power = multiple(value, scale, parts)) {
  if (value === 0n) return "0";
  if (power === 0 && value % parts === 0n) return grouped(value / parts) + scale.names[0];
  const all = hundredths(value, parts * scale.base ** BigInt(power));
  return `${grouped(all / 100n)}.${String(all % 100n).padStart(2, "0")}${scale.names[power]}`;
}

const SCALES = {
  count: { base: 1000n, names: ["", "K", "M", "B", "T"], wholeBelow: 1000000n },
  bytes: { base: 1024n, names: [" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"], wholeBelow: 1024n },
  flops: {
    base: 1000n,
    names: [" FLOPs", " kFLOPs", " MFLOPs", " GFLOPs", " TFLOPs", " PFLOPs", " EFLOPs"],
    wholeBelow: 1000n,
  },
};
const bytes = (value, parts) => scaled(value, SCALES.bytes, parts);
const flops = (value) => scaled(value, SCALES.flops);

// The values of two models with their amounts in one multiple, as the command line writes them beside each other.
function beside(values, unit) {
  const scale = SCALES[unit];
  const amounts = values.map(({ order }) => BigInt(order ?? 0));
  if (scale === undefined || amounts.includes(0n)) return values;
  const powers = amounts.map((amount) => multiple(amount, scale));
  if (powers[0] === powers[1]) return values;
  const shared = Math.max(Math.min(...powers), Math.max(...powers) - 1);
  return values.map((value, place) => ({ ...value, rounded: scaled(amounts[place], scale, 1n, shared) }));
}

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
  if (value === 0n) return "0";
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
  count: { ...exactly, rounded: (value) => scaled(value, SCALES.count) },
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
