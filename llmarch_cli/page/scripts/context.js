// ---- The context: a slider for round lengths, a field for any length.

const steps = [];
for (let power = 10n; power <= 24n; power += 1n) steps.push(1n << power, 3n << (power - 1n));
steps.pop();
const slider = byId("context-slider");
const bar = document.querySelector(".bar");
new ResizeObserver(() => document.documentElement.style.setProperty("--bar", `${bar.offsetHeight}px`)).observe(bar); // headings stick below it
slider.max = steps.length - 1;

function readTokens(text) {
  const match = /^([0-9]{1,15}|[0-9]{1,3}(?:_[0-9]{3}){1,5})([kKmM]?)$/.exec(text.trim());
  if (!match) return null;
  const size = { "": 1n, k: 1024n, m: 1048576n }[match[2].toLowerCase()];
  const value = BigInt(match[1].replaceAll("_", "")) * size;
  return value >= 1n && value <= BigInt(settings.longest) ? value : null;
}

function showContext(value) {
  const near = steps.findIndex((step) => step >= value);
  slider.value = near < 0 ? steps.length - 1 : near;
  slider.setAttribute("aria-valuetext", `${tokens(value)} tokens`);
  byId("context").value = tokens(value).replaceAll(",", "");
  byId("context").removeAttribute("aria-invalid");
  byId("context-said").textContent = `${grouped(value)} tokens of context`;
}

function onContext(change) {
  slider.addEventListener("input", () => change(steps[slider.value]));
  byId("context").addEventListener("change", () => {
    const value = readTokens(byId("context").value);
    if (value !== null) return change(value);
    byId("context").setAttribute("aria-invalid", "true");
    byId("context-said").textContent = "Enter a number of tokens: 131072, 131_072, 128k or 1M.";
  });
}
