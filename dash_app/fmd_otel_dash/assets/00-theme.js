/* Sets light or dark before anything is painted: the choice of last time, else what the system prefers.
   Loaded in <head>, by the sign-in page too; the same key and attribute that Mantine uses. */
(function () {
  var chosen = null;
  try { chosen = window.localStorage.getItem("mantine-color-scheme-value"); } catch (e) { /* storage is off */ }
  var dark = chosen === "dark" ||
    (chosen !== "light" && window.matchMedia && window.matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
})();
