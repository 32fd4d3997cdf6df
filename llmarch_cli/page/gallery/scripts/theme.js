"use strict";
// The theme that the reader chose, before anything is drawn; then the choice itself.
(() => {
  const KEY = "llmarch-theme";
  let kept = "";
  try {
    kept = localStorage.getItem(KEY) ?? "";
  } catch {
    // Without storage, each page begins with the system's theme.
  }
  const set = (theme) => (document.documentElement.dataset.theme = theme);
  if (kept === "light" || kept === "dark") set(kept);
  document.addEventListener("DOMContentLoaded", () => {
    const select = document.getElementById("theme");
    select.value = document.documentElement.dataset.theme ?? "";
    select.addEventListener("change", () => {
      set(select.value);
      try {
        localStorage.setItem(KEY, select.value);
      } catch {
        // As above.
      }
    });
  });
})();
