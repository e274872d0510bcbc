/* Sets light or dark before anything is painted: the choice of last time, else what the system prefers.
   Loaded in <head>, by the sign-in page too; the same key and attribute that Mantine uses.
   Paper is white: what is printed is light whatever the screen shows. */
(function () {
  var chosen = null;
  try { chosen = window.localStorage.getItem("mantine-color-scheme-value"); } catch (e) { /* storage is off */ }
  var dark = chosen === "dark" ||
    (chosen !== "light" && window.matchMedia && window.matchMedia("(prefers-color-scheme: dark)").matches);
  var root = document.documentElement, name = "data-mantine-color-scheme", onScreen = null;
  root.setAttribute(name, dark ? "dark" : "light");

  function print(begins) {
    if (begins && onScreen === null) { onScreen = root.getAttribute(name); root.setAttribute(name, "light"); }
    if (!begins && onScreen !== null) { root.setAttribute(name, onScreen); onScreen = null; }
  }
  if (window.matchMedia) {
    window.matchMedia("print").addEventListener("change", function (event) { print(event.matches); });
  }
  window.addEventListener("beforeprint", function () { print(true); });
  window.addEventListener("afterprint", function () { print(false); });
})();
