// ---- The address: what a page shows stands behind its #, so that it can be sent and kept.

const address = () => new URLSearchParams(location.hash.slice(1));

function setAddress(entries) {
  const said = new URLSearchParams(Object.entries(entries).filter(([, value]) => value));
  if (location.hash || String(said)) history.replaceState(null, "", `#${said}`);
}
